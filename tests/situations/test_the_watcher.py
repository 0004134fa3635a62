"""The other situations rely on it: partial objects, wrong manifests and secrets are detected."""

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


def test_the_watcher_detects_a_partial_object(world: World) -> None:
    world.issue(shards(1, size=1000))
    world.stack.storage.put(world.stack.bucket, FOLDER + file(0), shards(1, size=1000)[file(0)][:500])
    assert world.violations == [f"{FOLDER}{file(0)} is not whole: 500 bytes"]
    world.violations.clear()


@pytest.mark.parametrize("change", ["other bytes", "deleted"])
def test_the_watcher_detects_a_wrong_manifest(world: World, change: str) -> None:
    world.issue(shards(1, size=1000))
    only(world.call(DAY))
    if change == "deleted":
        world.delete(FOLDER + file(0))
    else:
        world.put(FOLDER + file(0), b"other bytes")
    assert world.violations == [
        f"after {FOLDER}{file(0)}, the manifest names {FOLDER}{file(0)}, which is gone or has other content"
    ]
    world.delete(MANIFEST)
    world.violations.clear()


@pytest.mark.parametrize("text", [API_KEY, "https://storage.googleapis.com/b/o?X-Goog-Signature=abc", "Traceback"])
def test_a_secret_or_a_traceback_in_the_output_is_detected(tmp_path: Path, text: str) -> None:
    program = tmp_path / "leaky.py"
    program.write_text(f"def export_analytics(request):\n    print('{text}', flush=True)\n    return 'done'\n")
    function = ScannedFunction({}, source=program).start()
    assert function.post(DAY).status == 200
    with pytest.raises(AssertionError):
        function.new_output()
    function.stop()


def test_a_secret_in_an_answer_is_detected(tmp_path: Path) -> None:
    program = tmp_path / "leaky.py"
    program.write_text(f"def export_analytics(request):\n    return 'the key is {API_KEY}'\n")
    function = ScannedFunction({}, source=program).start()
    with pytest.raises(AssertionError):
        function.post(DAY)
    function.stop()


def test_the_key_in_a_request_to_cloud_storage_is_detected(world: World) -> None:
    address = f"{world.stack.storage.url}/storage/v1/b/{world.stack.bucket}/o"
    assert requests.get(address, headers={"X-Anything": f"key={API_KEY}"}, timeout=10).ok
    (request,) = requests_with_the_key(world.stack)
    assert request.places_of(API_KEY) == ["x-anything"]
    world.stack.storage.requests.clear()
