"""What the other situations rely on: the watcher notes half an object, a wrong manifest, and a secret in the output."""

from pathlib import Path

import pytest
import requests

from local.stack import API_KEY
from tests.support.functions import ScannedFunction
from tests.support.requests_and_answers import DAY, FOLDER, MANIFEST, file, only
from tests.support.secret_scan import requests_with_the_key
from tests.support.source_files import shards
from tests.support.world import World

pytestmark = pytest.mark.ours_only


def test_half_an_object_is_seen(world: World) -> None:
    world.issue(shards(1, size=1000))
    world.stack.storage.put(world.stack.bucket, FOLDER + file(0), shards(1, size=1000)[file(0)][:500])
    assert world.violations == [f"{FOLDER}{file(0)} is not whole: 500 bytes"]
    world.violations.clear()


@pytest.mark.parametrize("change", ["other bytes", "deleted"])
def test_a_manifest_that_names_what_is_not_there_is_seen(world: World, change: str) -> None:
    world.issue(shards(1, size=1000))
    only(world.call(DAY))
    if change == "deleted":
        world.delete(FOLDER + file(0))
    else:
        world.put(FOLDER + file(0), b"other bytes")
    assert world.violations == [f"after {FOLDER}{file(0)}, the manifest names {FOLDER}{file(0)}, which is not so"]
    world.delete(MANIFEST)
    world.violations.clear()


@pytest.mark.parametrize("text", [API_KEY, "https://storage.googleapis.com/b/o?X-Goog-Signature=abc", "Traceback"])
def test_a_secret_or_a_traceback_in_the_output_is_seen(tmp_path: Path, text: str) -> None:
    program = tmp_path / "leaky.py"
    program.write_text(f"def export_analytics(request):\n    print('{text}', flush=True)\n    return 'done'\n")
    function = ScannedFunction({}, source=program).start()
    assert function.post(DAY).status == 200
    with pytest.raises(AssertionError):
        function.new_output()
    function.stop()


def test_a_secret_in_an_answer_is_seen(tmp_path: Path) -> None:
    program = tmp_path / "leaky.py"
    program.write_text(f"def export_analytics(request):\n    return 'the key is {API_KEY}'\n")
    function = ScannedFunction({}, source=program).start()
    with pytest.raises(AssertionError):
        function.post(DAY)
    function.stop()


def test_the_key_on_its_way_to_cloud_storage_is_seen(world: World) -> None:
    address = f"{world.stack.storage.url}/storage/v1/b/{world.stack.bucket}/o"
    assert requests.get(address, headers={"X-Anything": f"key={API_KEY}"}, timeout=10).ok
    (request,) = requests_with_the_key(world.stack)
    assert request.places_of(API_KEY) == ["x-anything"]
    world.stack.storage.requests.clear()
