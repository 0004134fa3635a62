"""A long copy logs its progress at least every 30 s; the tests move the clock instead of waiting."""

import json
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import pytest

from analytics_export.logs import Log
from analytics_export.retries import Clock, Deadline
from analytics_export.source.download import Source, SourceStream
from analytics_export.time_limit import TICK_S
from analytics_export.transfer import PROGRESS_EVERY_S, Transfer

if TYPE_CHECKING:
    from analytics_export.bucket.bucket import Bucket
    from analytics_export.bucket.guard import ManifestGuard
    from analytics_export.source.links import Listing

SIZE_BYTES = 10_000_000_000


class FakeStream:
    """A stream whose position the test moves."""

    size_bytes = SIZE_BYTES
    position = 0


class LongCopy:
    """A transfer in the middle of its copy, on a clock of its own."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.stream = FakeStream()
        deadline = Deadline(1740, Clock(monotonic=lambda: self.now_s))
        self.transfer = Transfer(
            listing=cast("Listing", None),
            file_name="a.csv",
            object_name="granular/a.csv",
            existing=None,
            source=Source(cast("object", None), deadline, 60),  # type: ignore[arg-type] # sends nothing
            bucket=cast("Bucket", None),
            guard=cast("ManifestGuard", None),
            log=Log(),
        )

    def begin(self) -> None:
        self.transfer._stream = cast("SourceStream", self.stream)  # noqa: SLF001 - as in the middle of `run`

    def watched_for(self, seconds: int) -> None:
        """Let time pass as the time limit does: it checks once in `TICK_S`."""
        for _ in range(int(seconds / TICK_S)):
            self.now_s += TICK_S
            self.stream.position += 1_000_000
            self.transfer.report_progress()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_long_copy_logs_its_progress_at_least_every_30_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    copy = LongCopy()
    copy.begin()
    copy.watched_for(300)
    logged = lines(capsys)
    times_s = [0.0, *(float(str(line["seconds"])) for line in logged), 300.0]
    assert max(later - earlier for earlier, later in pairwise(times_s)) <= 30
    assert len(logged) <= 300 / PROGRESS_EVERY_S


def test_a_progress_line_names_the_object_and_its_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    copy = LongCopy()
    copy.begin()
    copy.watched_for(20)
    assert lines(capsys) == [
        {
            "severity": "INFO",
            "message": "copy_progress",
            "object": "granular/a.csv",
            "copied_bytes": 20_000_000,
            "size_bytes": SIZE_BYTES,
            "seconds": 20.0,
        }
    ]


def test_a_short_copy_logs_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    copy = LongCopy()
    copy.begin()
    copy.watched_for(15)
    assert lines(capsys) == []


def test_a_copy_that_waits_for_its_first_byte_logs_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    copy = LongCopy()
    copy.watched_for(60)
    assert lines(capsys) == []
