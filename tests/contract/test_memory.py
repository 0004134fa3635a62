"""Memory does not grow with what is copied: one block a file, whatever the file's size."""

from collections.abc import Iterator

import pytest

from local.stack import Stack
from tests.asked import DAY, PREFIX, file, only
from tests.conftest import StartFunction

MIB = 1024 * 1024
BLOCK = b"a,b,c,d,e,f,g\n" + b"1,2,3,4,5,6,7\n" * (MIB // 14)
BLOCK = BLOCK[: MIB - 1] + b"\n"


def file_of(size_mib: int) -> Iterator[bytes]:
    for _ in range(size_mib):
        yield BLOCK


@pytest.mark.parametrize(
    ("count", "size_mib", "limit_mb"),
    [pytest.param(1, 512, 120, id="one"), pytest.param(8, 64, 160, id="eight at once")],
)
def test_a_copy_holds_one_block_a_file(
    stack: Stack, start_function: StartFunction, count: int, size_mib: int, limit_mb: int
) -> None:
    """So that one of 2 GiB stays under 120 MB, and eight at once under 160 MB: it is the same for any size."""
    stack.exports.put(PREFIX, {file(number): file_of(size_mib) for number in range(count)})
    function = start_function()
    export = only(function.post(DAY))
    assert export["bytes_copied"] == count * size_mib * MIB
    assert 20_000_000 < function.peak_rss_bytes() < limit_mb * 1_000_000
    function.post(DAY)
    assert function.peak_rss_bytes() < limit_mb * 1_000_000
