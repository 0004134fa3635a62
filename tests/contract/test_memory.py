"""Memory does not grow with what is copied: one block per file, whatever its size, and one short file per transfer."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from local.stack import Stack
from tests.support.functions import StartFunction
from tests.support.requests_and_answers import DAY, FOLDER, PREFIX, file, only, span, statuses

MIB = 1024 * 1024
BLOCK = b"a,b,c,d,e,f,g\n" + b"1,2,3,4,5,6,7\n" * (MIB // 14)
BLOCK = BLOCK[: MIB - 1] + b"\n"
SHORT_BYTES = 256 * 1024
LIMIT_BYTES = 120_000_000


def file_of(size_mib: int) -> Iterator[bytes]:
    for _ in range(size_mib):
        yield BLOCK


@pytest.mark.parametrize(("count", "size_mib"), [pytest.param(1, 512, id="one"), pytest.param(8, 64, id="eight")])
def test_a_copy_keeps_one_block_per_file_in_memory(
    stack: Stack, start_function: StartFunction, count: int, size_mib: int
) -> None:
    """So one file of 2 GiB stays under 120 MB, and eight at once too: the size makes no difference."""
    stack.exports.put(PREFIX, {file(number): file_of(size_mib) for number in range(count)})
    function = start_function()
    export = only(function.post(DAY))
    assert export["bytes_copied"] == count * size_mib * MIB
    assert 20_000_000 < function.peak_rss_bytes() < LIMIT_BYTES
    function.post(DAY)
    assert function.peak_rss_bytes() < LIMIT_BYTES


def test_400_periods_in_one_call_take_no_more_memory(stack: Stack, start_function: StartFunction) -> None:
    """Each has a short file, which is read whole before it is written; all of them together would be 105 MB."""
    days = [(date(2022, 1, 1) + timedelta(days=number)).isoformat() for number in range(400)]
    for day in days:
        prefix = f"granular-{day}"
        stack.exports.put(prefix, {file(0, prefix): BLOCK[:SHORT_BYTES]})
    function = start_function()
    answer = function.post(span(days[0], days[-1]))
    assert statuses(answer) == dict.fromkeys(days, "copied")
    assert answer.json()["bytes_copied"] == 400 * SHORT_BYTES
    assert 20_000_000 < function.peak_rss_bytes() < LIMIT_BYTES


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.ours_only
def test_a_file_of_5_gib_is_copied_in_constant_memory(stack: Stack, start_function: StartFunction) -> None:
    """The stand-in generates it from one block; the function's memory does not grow with it."""
    size, block = 5 * 1024**3, b"a,b\n" * (1 << 20)
    stack.exports.put(PREFIX, {file(0): (block for _ in range(size // len(block)))})
    function = start_function()
    assert only(function.post(DAY))["bytes_copied"] == size
    source = stack.exports.files(PREFIX)[file(0)]
    stored = stack.storage.objects(stack.bucket)[FOLDER + file(0)]
    assert (stored.size, stored.crc32c) == (source.size, source.crc32c)
    assert 20_000_000 < function.peak_rss_bytes() < LIMIT_BYTES
