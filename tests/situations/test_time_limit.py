"""Whichever service drips or stalls, the answer is out in time, and nothing that still runs does harm.

Here the function runs in the tests' process, with a shorter grace after the deadline: the mechanism is the same. One
test runs it in a process of its own, with the real grace.
"""

import gc
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from analytics_export import retries, time_limit
from analytics_export.app import App
from analytics_export.errors import UpstreamUnavailable
from analytics_export.export_request import ExportRequest, Purpose
from analytics_export.logs import Log
from analytics_export.periods import Aggregation, Export, Frequency, Period
from analytics_export.report import ExportResult, Status
from local.faults import Kind
from tests.support.requests_and_answers import DAY, PREFIX, slug
from tests.support.source_files import crc32c, shards
from tests.support.world import World, wait_for

pytestmark = pytest.mark.ours_only

DEADLINE_S, GRACE_S, HANGING_S = 0.3, 0.4, 0.4
IN_TIME_S = DEADLINE_S + GRACE_S + HANGING_S + 0.5
DRIP: dict[str, Any] = {"kind": "drip", "seconds": 0.05, "times": None}
CALLS = 100

StartApp = Callable[..., App]


@pytest.fixture
def start_app(world: World, monkeypatch: pytest.MonkeyPatch) -> StartApp:
    """Call it with settings to change; returns the `App` of a function whose calls have little time."""
    monkeypatch.setattr(retries, "GRACE_S", GRACE_S)
    monkeypatch.setattr(time_limit, "HANGING_S", HANGING_S)
    monkeypatch.setattr(time_limit, "_left_behind", [])

    def start(**env: str) -> App:
        for name, value in (world.stack.function_env() | {"DEADLINE_SECONDS": str(DEADLINE_S)} | env).items():
            monkeypatch.setenv(name, value)
        return App.from_env()

    return start


def day(number: int = 1) -> Export:
    return Export(Aggregation.GRANULAR, Period.holding(Frequency.DAILY, date(2022, 4, number)))


def call(app: App, *exports: Export) -> tuple[list[ExportResult], float]:
    began = time.monotonic()
    results = app.export(ExportRequest(exports or (day(),), skip_complete=False), Log())
    return results, time.monotonic() - began


SLOW: dict[str, dict[str, Any]] = {
    "the export service drips its listing": {"where": "export.list"} | DRIP,
    "the export service stalls": {"where": "export.list", "kind": "stall", "seconds": 30, "times": None},
    "the source drips its headers": {"where": "link.get"} | DRIP,
    "the source drips a file": {"where": "link.get", "kind": "throttle", "bytes_per_s": 60, "times": None},
    "the source stalls in the middle of a file": {
        "where": "link.get", "kind": "stall", "after_bytes": 500, "seconds": 30, "times": None,
    },
    "the bucket drips a listing": {"where": "object.list"} | DRIP,
    "the bucket drips the answer to a short file": {"where": "object.insert"} | DRIP,
    "the bucket drips the URL of a session": {"where": "upload.start"} | DRIP,
    "the bucket accepts a long file at 60 bytes a second": {
        "where": "upload.put", "kind": "throttle", "bytes_per_s": 60, "times": None,
    },
    "the bucket drips the answer to a long file": {"where": "upload.put"} | DRIP,
    "the bucket drips the metadata of an object": {"where": "object.get"} | DRIP,
    "the bucket drips a manifest": {"where": "object.read"} | DRIP,
    "the bucket drips the answer to a delete": {"where": "object.delete"} | DRIP,
}  # fmt: skip


@pytest.mark.parametrize("is_warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize("fault", SLOW.values(), ids=SLOW)
def test_the_answer_is_out_in_time_when(
    fault: dict[str, Any],
    is_warm: bool,  # noqa: FBT001 - a table
    world: World,
    start_app: StartApp,
) -> None:
    """It is 503 `deadline`, and names the service; the next call, without the fault, completes the period."""
    files = shards(1, size=1000) | {f"{PREFIX}-long.csv": shards(1)[f"{PREFIX}-000000000000.csv"]}
    world.issue(files)
    world.put("manifests/granular/daily/start_date=2022-04-01.json", b"{}")
    world.put("granular/daily/start_date=2022-04-01/stale.csv", b"stale")
    world.put(f"granular/daily/start_date=2022-04-01/{PREFIX}-000000000000.csv", b"old")
    app = start_app(STALL_SECONDS="60")
    if is_warm:  # its open connections must be closed too
        assert call(app, day(2))[0][0].status is Status.COPIED
    if fault["where"] == "object.get":  # another writer writes the object just before the function does
        world.whole.add(crc32c(b"a,b\n1,2\n"))
        world.stack.faults.add("object.insert", "overwrite", body=b"a,b\n1,2\n", times=None)
    world.stack.faults.add(**fault)
    [result], seconds = call(app)
    assert seconds < IN_TIME_S
    assert world.stack.faults.fired
    assert (result.status, result.error and result.error.type) == (Status.INCOMPLETE, "deadline")
    assert result.error
    assert "The run's time is over" in result.error.detail
    assert any(party in result.error.detail for party in ("export service", "source", "Cloud Storage", "copied then"))
    assert not [thread for thread in time_limit._left_behind if thread.is_alive()]  # noqa: SLF001 - nothing else shows it
    world.stack.faults.clear()
    wait_for(lambda: world.call().status == 200)
    world.check_right()


@pytest.fixture
def silent_server() -> Iterator[tuple[str, list[socket.socket]]]:
    """An address that accepts connections and never answers, and the accepted connections."""
    accepted: list[socket.socket] = []
    with ExitStack() as exits:
        listener = exits.enter_context(socket.create_server(("127.0.0.1", 0)))

        def accept() -> None:
            with suppress(OSError):
                while True:
                    accepted.append(listener.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", accepted
        listener.shutdown(socket.SHUT_RDWR)
        for each in accepted:
            each.close()


def test_a_tls_handshake_that_stalls_ends_in_time(
    start_app: StartApp, silent_server: tuple[str, list[socket.socket]]
) -> None:
    address, accepted = silent_server
    [result], seconds = call(start_app(EXPORT_SERVICE_URL=f"https://{address}"))
    assert seconds < IN_TIME_S
    assert accepted
    assert (result.status, result.error and result.error.type) == (Status.INCOMPLETE, "deadline")


def test_a_tls_handshake_that_drips_ends_in_time(
    start_app: StartApp, silent_server: tuple[str, list[socket.socket]]
) -> None:
    address, accepted = silent_server

    def drip() -> None:
        record = b"\x16\x03\x03\x40\x00" + b"\x02\x00\x3f\xfc" + b"\x03" * 16_000
        for byte in record:
            for each in list(accepted):
                with suppress(OSError):
                    each.send(bytes([byte]))
            time.sleep(0.02)

    threading.Thread(target=drip, daemon=True).start()
    [result], seconds = call(start_app(EXPORT_SERVICE_URL=f"https://{address}"))
    assert seconds < IN_TIME_S
    assert (result.status, result.error and result.error.type) == (Status.INCOMPLETE, "deadline")


def test_a_host_that_accepts_no_connection_ends_in_time(start_app: StartApp) -> None:
    """Its backlog is full: another connection is not even refused."""
    with ExitStack() as exits:
        listener = exits.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = exits.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003 - the standard library's own
            waiting.connect_ex(listener.getsockname())
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        [result], seconds = call(start_app(EXPORT_SERVICE_URL=f"http://{address}"))
    assert seconds < IN_TIME_S
    assert (result.status, result.error and result.error.type) == (Status.INCOMPLETE, "deadline")


class HangingDns:
    """A resolver that never answers, until it is released."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.released = threading.Event()
        self._real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host: str, *args: Any, **kwargs: Any) -> Any:
        if host == "never.example":
            self.released.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "released")
        return self._real(host, *args, **kwargs)


def test_a_host_name_that_is_never_resolved_is_reported_in_time(
    world: World, start_app: StartApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A DNS query cannot be cancelled: the answer does not wait for it, and reports the periods that are done."""
    world.issue(shards(1, size=1000))
    assert world.call().status == 200
    dns = HangingDns(monkeypatch)
    app = start_app(EXPORT_SERVICE_URL="http://never.example")
    began = time.monotonic()
    results = app.export(ExportRequest((day(1), day(2)), skip_complete=True), Log())
    assert time.monotonic() - began < IN_TIME_S
    assert [result.status for result in results] == [Status.COMPLETE, Status.INCOMPLETE]
    assert results[1].error
    assert "never.example" in results[1].error.detail
    dns.released.set()


def test_calls_that_hang_for_good_do_not_pile_up(
    world: World, start_app: StartApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `MAX_LEFT_BEHIND` of them the instance refuses calls until one ends."""
    del world
    dns = HangingDns(monkeypatch)
    app = start_app(EXPORT_SERVICE_URL="http://never.example", DEADLINE_SECONDS="0.05")
    for _ in range(time_limit.MAX_LEFT_BEHIND):
        [result], _ = call(app)
        assert result.status is Status.INCOMPLETE
    threads = threading.active_count()
    for _ in range(10):
        [result], seconds = call(app)
        assert (seconds < 0.2, isinstance(result.error, UpstreamUnavailable)) == (True, True)
    assert threading.active_count() <= threads
    dns.released.set()
    wait_for(lambda: call(app)[0][0].status is Status.INCOMPLETE, timeout_s=5)
    wait_for(lambda: not [thread for thread in time_limit._left_behind if thread.is_alive()], timeout_s=5)  # noqa: SLF001 - nothing else shows it


def test_a_secret_manager_that_hangs_does_not_delay_the_answer(world: World, start_app: StartApp) -> None:
    world.issue(shards(1, size=1000))
    hold = world.stack.faults.add("secret.access", "hold", times=None)
    [result], seconds = call(start_app())
    assert seconds < IN_TIME_S
    assert result.error
    assert (result.status, result.error.type) == (Status.INCOMPLETE, "deadline")
    assert "Secret Manager" in result.error.detail
    hold.release()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only counts them


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_hundred_calls_under_a_fault_leave_nothing_behind(world: World, start_app: StartApp) -> None:
    """A warm instance's memory, threads and open files do not grow after the first few calls."""
    world.issue(shards(2, size=1000))
    app = start_app(DEADLINE_SECONDS="0.05", STALL_SECONDS="60")
    world.stack.faults.add("link.get", "drip", seconds=0.02, times=None)
    measured: list[tuple[int, int, int]] = []
    at_rest = threading.active_count()  # includes the stand-ins of other tests, which keep their threads
    for number in range(CALLS):
        retries.GRACE_S = 0.02
        [result], _ = call(app)
        assert result.status is Status.INCOMPLETE
        if number in {CALLS // 10, CALLS - 1}:
            world.stack.faults.clear()
            wait_for(lambda: threading.active_count() < at_rest + 40, timeout_s=5)
            gc.collect()
            measured.append((threading.active_count(), open_files(), resident_bytes()))
            world.stack.faults.add("link.get", "drip", seconds=0.02, times=None)
    (threads, files, memory), (threads_after, files_after, memory_after) = measured
    assert threads_after <= threads + 10
    assert files_after <= files + 20
    assert memory_after < memory + 30_000_000


def test_an_abandoned_upload_changes_nothing_after_its_call(world: World, start_app: StartApp) -> None:
    """The upload was broken off at its last byte, and another run copied a new issue meanwhile."""
    world.issue(shards(1, mark="old"))
    late = world.stack.faults.add("upload.finish", "hold")
    [result], _ = call(start_app())
    assert result.status is Status.INCOMPLETE
    world.issue(shards(1, mark="new"))
    second = world.call_in_background()
    time.sleep(0.3)
    late.release()
    assert second.result().status == 200
    wait_for(lambda: world.objects() == shards(1, mark="new"))
    world.check_right()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_dripping_service_delays_the_answer_by_at_most_fifty_seconds_after_the_deadline(world: World) -> None:
    """The real limits, in a process of its own: DEADLINE_SECONDS + 45 + 5."""
    world.issue(shards(1, size=1000))
    hurried = world.shared(DEADLINE_SECONDS="1", STALL_SECONDS="60")
    world.stack.faults.add("export.list", "drip", seconds=1, times=None)
    answer = world.call(DAY, hurried)
    assert (answer.status, slug(answer)) == (503, "deadline")
    assert 45 < answer.seconds < 52
    assert "export service" in str(answer.json()["detail"])


# Calls that plan


@pytest.mark.parametrize("purpose", [Purpose.DRY_RUN, Purpose.ENQUEUE])
def test_a_dry_run_and_an_enqueue_end_in_time_too(world: World, start_app: StartApp, purpose: Purpose) -> None:
    world.stack.faults.add("object.list", **DRIP)
    began = time.monotonic()
    results = start_app().export(ExportRequest((day(1), day(2)), skip_complete=True, purpose=purpose), Log())
    assert time.monotonic() - began < IN_TIME_S
    assert [(result.status, result.error and result.error.type) for result in results] == [
        (Status.INCOMPLETE, "deadline"),
        (Status.INCOMPLETE, "deadline"),
    ]
    assert world.stack.tasks.queue.tasks() == []


def test_periods_queued_before_cloud_tasks_hangs_are_reported_as_queued(world: World, start_app: StartApp) -> None:
    hold = world.stack.faults.add("task.create", Kind.HOLD, skip=3, times=None)
    exports = tuple(day(number) for number in range(1, 31))
    began = time.monotonic()
    request = ExportRequest(exports, skip_complete=True, purpose=Purpose.ENQUEUE)
    results = start_app().export(request, Log())
    assert time.monotonic() - began < IN_TIME_S
    queued = [str(result.export.period.start) for result in results if result.status is Status.QUEUED]
    assert sorted(task.name[-10:] for task in world.stack.tasks.queue.tasks()) == queued
    assert len(queued) == 3
    assert {result.error.type for result in results if result.error} == {"deadline"}
    hold.release()
