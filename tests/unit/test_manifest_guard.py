"""A period's manifest is in the bucket only while it is true, whatever another run does meanwhile."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from analytics_export.bucket.bucket import Bucket
from analytics_export.bucket.cloud_storage import CloudStorage
from analytics_export.bucket.csv_header import CsvFormat
from analytics_export.bucket.guard import ManifestGuard
from analytics_export.bucket.layout import Layout
from analytics_export.bucket.manifest import Manifest
from analytics_export.bucket.manifests import Manifests
from analytics_export.errors import Conflict
from analytics_export.http import session
from analytics_export.periods import Aggregation, Export, Frequency, Period
from analytics_export.retries import Clock, Deadline
from local.stack import Stack

pytestmark = pytest.mark.ours_only

DAY = Export(Aggregation.GRANULAR, Period.holding(Frequency.DAILY, date(2022, 4, 1)))
MANIFEST = "manifests/granular/daily/start_date=2022-04-01.json"
FILE = "granular/daily/start_date=2022-04-01/granular-2022-04-01-000000000000.csv"


class Destination:
    """The period in the bucket; `guard` belongs to the run under test, everything else acts as another run."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        deadline = Deadline(60, Clock(sleep=lambda _: None))
        storage = CloudStorage(stack.client(), stack.bucket, deadline)
        self.bucket = Bucket(storage, session(connections=2), layout=Layout(""), stall_s=5)
        self.manifests = Manifests(self.bucket)
        self.guard = ManifestGuard(self.bucket, self.manifests, DAY)

    def put_file(self, data: bytes = b"a,b\n", name: str = FILE) -> None:
        self._stack.storage.put(self._stack.bucket, name, data)

    def true_manifest(self, analytics_id: str = "this run") -> Manifest:
        """A manifest that names the files as they are now."""
        files = tuple(self.bucket.files(DAY).values())
        return Manifest(DAY, analytics_id, datetime(2022, 4, 2, 9, tzinfo=UTC), CsvFormat(), files)

    def put_manifest(self, manifest: Manifest) -> None:
        self.manifests.write(manifest, replaces_generation=self.manifests.generation(DAY))

    @property
    def manifest(self) -> Manifest | None:
        return self.manifests.read(DAY).manifest

    def on_manifest(self, do: Callable[[], object]) -> None:
        """Let another run do something just after the manifest was written for the first time."""
        waiting = [do]

        def observe(name: str) -> None:
            if name == MANIFEST and waiting:
                waiting.pop()()

        self._stack.storage.on_change(lambda change: observe(change.name))

    @property
    def requests(self) -> int:
        return self._stack.storage.requests.count()

    @property
    def writes(self) -> int:
        return self._stack.storage.requests.count("object.insert")


@pytest.fixture
def destination(stack: Stack) -> Destination:
    return Destination(stack)


@pytest.fixture
def complete(destination: Destination) -> Destination:
    """A period that is complete, and a run that knows it."""
    destination.put_file()
    destination.put_manifest(destination.true_manifest())
    destination.guard.read()
    return destination


def test_the_manifest_is_withdrawn_once_before_the_first_change(complete: Destination) -> None:
    complete.guard.withdraw_once(replaces=True)
    assert complete.manifest is None
    assert complete.guard.manifest is None
    before = complete.requests
    complete.guard.withdraw_once(replaces=True)
    complete.guard.withdraw_once(replaces=False)
    assert complete.requests == before


def test_a_new_file_withdraws_the_manifest_too(complete: Destination) -> None:
    complete.guard.withdraw_once(replaces=False)
    assert complete.manifest is None


def test_a_new_file_of_a_period_without_a_manifest_costs_no_request(destination: Destination) -> None:
    destination.guard.withdraw_once(replaces=False)
    assert destination.requests == 0


@pytest.mark.parametrize("has_read", [True, False], ids=["read", "known from a listing to be missing"])
def test_replacing_a_file_withdraws_a_manifest_written_meanwhile(
    destination: Destination,
    has_read: bool,  # noqa: FBT001 - a table
) -> None:
    destination.put_file()
    if has_read:
        destination.guard.read()
    destination.put_manifest(destination.true_manifest("another run"))
    destination.guard.withdraw_once(replaces=True)
    assert destination.manifest is None


def test_a_new_attempt_withdraws_a_manifest_written_meanwhile(complete: Destination) -> None:
    complete.guard.withdraw_once(replaces=True)
    complete.put_manifest(complete.true_manifest("another run"))
    complete.guard.read()
    complete.guard.withdraw_once(replaces=True)
    assert complete.manifest is None


def test_a_manifest_that_another_run_has_just_written_is_not_withdrawn(complete: Destination) -> None:
    newer = complete.true_manifest("another run")
    complete.put_manifest(newer)
    with pytest.raises(Conflict) as conflict:
        complete.guard.withdraw_once(replaces=True)
    assert type(conflict.value) is Conflict, "not PreconditionFailed, which a transfer would take for its own upload's"
    assert complete.manifest == newer


def test_a_manifest_is_restored_after_a_refused_change(complete: Destination) -> None:
    before = complete.manifest
    complete.guard.withdraw_once(replaces=True)
    complete.guard.restore()
    assert complete.manifest == complete.guard.manifest == before
    complete.guard.withdraw()
    assert complete.manifest is None, "its new generation is known"


def test_a_manifest_is_restored_even_if_a_later_attempt_found_none(complete: Destination) -> None:
    before = complete.manifest
    complete.guard.withdraw()
    complete.guard.read()
    complete.guard.withdraw()
    complete.guard.restore()
    assert complete.manifest == before


def test_a_manifest_is_not_restored_if_a_file_was_changed(complete: Destination) -> None:
    complete.guard.withdraw_once(replaces=True)
    complete.put_file(b"other bytes")
    complete.guard.restore()
    assert complete.manifest is None


def test_a_manifest_is_not_restored_over_that_of_another_run(complete: Destination) -> None:
    complete.guard.withdraw_once(replaces=True)
    theirs = complete.true_manifest("another run")
    complete.put_manifest(theirs)
    complete.guard.restore()
    assert complete.manifest == theirs


def test_nothing_is_restored_that_was_not_withdrawn(complete: Destination) -> None:
    before = complete.requests
    complete.guard.restore()
    assert complete.requests == before


def test_a_complete_period_gets_its_manifest(destination: Destination) -> None:
    destination.put_file()
    manifest = destination.true_manifest()
    destination.guard.commit(manifest)
    assert destination.manifest == destination.guard.manifest == manifest


def test_a_new_manifest_replaces_the_one_that_the_run_has_read(complete: Destination) -> None:
    manifest = complete.true_manifest("another ID")
    complete.guard.commit(manifest)
    assert complete.manifest == manifest


@pytest.mark.parametrize("other_files", [[], [b"other bytes"]], ids=["a file is gone", "a file was replaced"])
def test_no_manifest_is_written_if(destination: Destination, other_files: list[bytes]) -> None:
    destination.put_file()
    manifest = destination.true_manifest()
    if not other_files:
        manifest = replace(manifest, objects=(*manifest.objects, replace(manifest.objects[0], name=FILE + ".gone")))
    for data in other_files:
        destination.put_file(data)
    before = destination.writes
    with pytest.raises(Conflict):
        destination.guard.commit(manifest)
    assert destination.writes == before, "not even briefly"


def test_a_manifest_that_another_run_wrote_first_is_kept(destination: Destination) -> None:
    destination.put_file()
    destination.guard.read()
    theirs = destination.true_manifest("another run")
    destination.put_manifest(theirs)
    with pytest.raises(Conflict):
        destination.guard.commit(destination.true_manifest())
    assert destination.manifest == theirs


def test_a_manifest_that_another_run_made_false_is_removed_again(destination: Destination) -> None:
    destination.put_file()
    manifest = destination.true_manifest()
    destination.on_manifest(lambda: destination.put_file(b"other bytes"))
    with pytest.raises(Conflict):
        destination.guard.commit(manifest)
    assert destination.manifest is None


def test_a_newer_manifest_of_another_run_is_not_removed_with_our_own(destination: Destination, stack: Stack) -> None:
    """Both runs wrote one; the other run's is newer and true."""
    destination.put_file()
    manifest = destination.true_manifest()
    theirs = b'{"not": "ours"}'

    def another_run() -> None:
        destination.put_file(b"other bytes")
        stack.storage.put(stack.bucket, MANIFEST, theirs)

    destination.on_manifest(another_run)
    with pytest.raises(Conflict):
        destination.guard.commit(manifest)
    assert stack.storage.read(stack.bucket, MANIFEST) == theirs
