"""GET /check tries each part of the set-up, and says what is wrong and what to do about it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.faults import Kind
from local.function import Answer
from local.processes import tree
from local.stack import SECRET, Stack
from tests.support.destination import Bucket
from tests.support.functions import ScannedFunction, StartFunction
from tests.support.requests_and_answers import DAY, problem

NAMES = ["settings", "secret", "export_service", "bucket", "queue"]
OBJECTS = "storage.objects."


def found(answer: Answer) -> dict[str, str | None]:
    """The detail of each part that is not right; None for those that are."""
    checks: Any = answer.json()["checks"]
    assert [each["name"] for each in checks] == NAMES[: len(checks)]
    assert all(set(each) == {"name", "ok", "detail"} and each["detail"] for each in checks)
    return {each["name"]: None if each["ok"] else each["detail"] for each in checks}


def wrong(answer: Answer, status: int, slug: str) -> dict[str, str]:
    """The parts that are not right, in an answer that must be this problem."""
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json"), answer.text
    document = answer.json()
    assert (document["type"], document["status"]) == (slug, status)
    assert ("Retry-After" in answer.headers) == (status == 503)
    parts = {name: detail for name, detail in found(answer).items() if detail is not None}
    assert document["detail"] == f"Not right: {', '.join(parts)}. `checks` says what to do."
    return parts


def test_a_check_of_a_correct_set_up_says_what_was_found(stack: Stack, function: ScannedFunction) -> None:
    answer = function.get("check")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert found(answer) == dict.fromkeys(NAMES)
    details = " ".join(each["detail"] for each in answer.json()["checks"])  # type: ignore[attr-defined] # a list
    assert SECRET in details
    assert stack.bucket in details


def test_a_check_changes_nothing(stack: Stack, function: ScannedFunction, bucket: Bucket) -> None:
    function.post(DAY)
    before = {name: blob.generation for name, blob in bucket.blobs().items()}
    stack.exports.requests.clear()
    assert function.get("check").status == 200
    assert {name: blob.generation for name, blob in bucket.blobs().items()} == before
    assert stack.exports.requests.count() == 1


def test_a_missing_report_shows_that_the_key_is_accepted(stack: Stack, function: ScannedFunction) -> None:
    stack.faults.add("export.list", Kind.STATUS, status=404)
    assert found(function.get("check")) == dict.fromkeys(NAMES)


def test_the_check_names_wrong_settings_and_tries_nothing_else(stack: Stack, start_function: StartFunction) -> None:
    parts = wrong(start_function(BUCKET="gs://x", STALL_SECONDS="0").get("check"), 500, "misconfigured")
    assert "BUCKET must be" in parts["settings"]
    assert "STALL_SECONDS must be" in parts["settings"]
    assert list(parts) == NAMES[:-1]  # only valid settings say whether there is a queue
    assert all("settings must be right first" in parts[name] for name in NAMES[1:-1])
    assert stack.exports.requests.count() == stack.secrets.requests.count() == 0


def no_secret(stack: Stack) -> None:
    stack.secrets.remove(SECRET)


def a_secret_of_two_lines(stack: Stack) -> None:
    stack.secrets.add_version(SECRET, "some-secret-key\nand more")


def a_secret_that_is_denied(stack: Stack) -> None:
    stack.faults.add("secret.access", Kind.STATUS, status="PERMISSION_DENIED", times=None)


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (no_secret, "gcloud secrets versions add"),
        (a_secret_of_two_lines, "one line of printable ASCII"),
        (a_secret_that_is_denied, "roles/secretmanager.secretAccessor"),
    ],
)
def test_the_check_names_a_secret_that_cannot_be_used(
    stack: Stack, function: ScannedFunction, break_it: Callable[[Stack], None], says: str
) -> None:
    """A warm instance has the key already; the check reads it again."""
    assert function.get("check").status == 200
    break_it(stack)
    parts = wrong(function.get("check"), 500, "misconfigured")
    assert says in parts["secret"]
    assert parts["export_service"] == "Not tried: it needs the API key."
    assert set(parts) == {"secret", "export_service"}


@pytest.mark.parametrize("status", [401, 403])
def test_the_check_names_a_refused_key(stack: Stack, function: ScannedFunction, status: int) -> None:
    stack.faults.add("export.list", Kind.STATUS, status=status, times=None)
    parts = wrong(function.get("check"), 502, "export-service-refused")
    assert "Ask Usercentrics for a valid key" in parts["export_service"]
    assert set(parts) == {"export_service"}


@pytest.mark.parametrize(
    ("kind", "how", "status", "slug", "says"),
    [
        (Kind.STATUS, {"status": 418}, 502, "export-service-error", "EXPORT_SERVICE_URL"),
        (Kind.STATUS, {"status": 200, "body": b"<html>"}, 502, "export-service-error", "cannot be understood"),
        (Kind.STATUS, {"status": 500, "times": None}, 503, "upstream-unavailable", "answered 500"),
        (Kind.RESET, {"times": None}, 503, "upstream-unavailable", "cannot be reached"),
    ],
)
def test_the_check_names_an_export_service_that_does_not_answer_as_documented(
    stack: Stack, function: ScannedFunction, kind: Kind, how: dict[str, Any], status: int, slug: str, says: str
) -> None:
    stack.faults.add("export.list", kind, **how)
    parts = wrong(function.get("check"), status, slug)
    assert says in parts["export_service"]
    assert set(parts) == {"export_service"}


def test_the_check_names_links_to_another_origin(start_function: StartFunction) -> None:
    parts = wrong(start_function(DOWNLOAD_ORIGINS="").get("check"), 502, "link-refused")
    assert set(parts) == {"export_service"}


@pytest.mark.ours_only
@pytest.mark.parametrize("denied", [["list"], ["get", "create"], ["list", "get", "create", "delete"]])
def test_the_check_names_missing_permissions_on_the_bucket_with_the_command(
    stack: Stack, function: ScannedFunction, denied: list[str]
) -> None:
    stack.storage.denied |= {OBJECTS + name for name in denied}
    parts = wrong(function.get("check"), 500, "misconfigured")
    assert f"lacks {', '.join(OBJECTS + name for name in denied)} on {stack.bucket}" in parts["bucket"]
    command = f"gcloud storage buckets add-iam-policy-binding gs://{stack.bucket}"
    assert command in parts["bucket"]
    assert "--role=roles/storage.objectUser" in parts["bucket"]
    assert set(parts) == {"bucket"}


@pytest.mark.ours_only
def test_the_check_names_a_missing_bucket(function_with: StartFunction) -> None:
    parts = wrong(function_with(BUCKET="no-such-bucket").get("check"), 500, "misconfigured")
    assert "no-such-bucket does not exist" in parts["bucket"]


def test_the_check_tries_no_queue_if_none_is_set(function_with: StartFunction) -> None:
    answer = function_with(TASKS_QUEUE="").get("check")
    assert found(answer) == dict.fromkeys(NAMES[:-1])


def test_the_check_names_a_missing_permission_on_the_queue_with_the_command(
    stack: Stack, function: ScannedFunction
) -> None:
    stack.tasks.denied.add("cloudtasks.tasks.create")
    parts = wrong(function.get("check"), 500, "misconfigured")
    assert "gcloud tasks queues add-iam-policy-binding" in parts["queue"]
    assert "--role roles/cloudtasks.enqueuer" in parts["queue"]
    assert set(parts) == {"queue"}
    assert [request.operation for request in stack.tasks.requests.all()] == ["queue.permissions"]


def test_the_check_names_a_missing_queue(function_with: StartFunction) -> None:
    nowhere = "projects/local/locations/europe-west3/queues/nowhere"
    parts = wrong(function_with(TASKS_QUEUE=nowhere).get("check"), 500, "misconfigured")
    assert nowhere in parts["queue"]


@pytest.mark.parametrize(("queue_status", "is_right"), [(None, True), ("NOT_FOUND", False)])
def test_a_queue_of_an_emulator_without_iam_is_right_if_it_exists(
    stack: Stack,
    function: ScannedFunction,
    queue_status: str | None,
    is_right: bool,  # noqa: FBT001 - a table
) -> None:
    stack.faults.add("queue.permissions", Kind.STATUS, status="UNIMPLEMENTED")
    if queue_status:
        stack.faults.add("queue.get", Kind.STATUS, status=queue_status)
    assert (function.get("check").status == 200) is is_right


@pytest.mark.ours_only
def test_the_worst_of_several_wrong_parts_decides_the_status_of_the_check(
    stack: Stack, function: ScannedFunction
) -> None:
    stack.storage.denied.add("storage.objects.delete")
    stack.faults.add("export.list", Kind.STATUS, status=401, times=None)
    assert set(wrong(function.get("check"), 500, "misconfigured")) == {"export_service", "bucket"}


@pytest.mark.slow
@pytest.mark.ours_only
@pytest.mark.parametrize(
    ("where", "part"),
    [
        ("bucket.permissions", "bucket"),
        ("export.list", "export_service"),
        ("secret.access", "secret"),
        ("queue.permissions", "queue"),
    ],
)
def test_the_check_gives_up_a_hanging_service_in_time(
    stack: Stack, function: ScannedFunction, where: str, part: str
) -> None:
    """The others are tried meanwhile, and a later run succeeds."""
    stack.faults.add(where, Kind.STALL, times=None, seconds=60)
    answer = function.get("check")
    assert answer.seconds < 13
    parts = wrong(answer, 503, "upstream-unavailable")
    assert "still hangs" not in parts[part]  # it ended by itself: no thread of it is left behind
    assert set(parts) <= {part, "export_service"}
    stack.faults.clear()
    assert function.post(DAY).status == 200


def test_a_failed_run_points_to_the_check(stack: Stack, start_function: StartFunction) -> None:
    stack.secrets.remove(SECRET)
    document = problem(start_function().post(DAY), 500, "misconfigured")
    assert document["detail"].endswith("GET /check tries every part of the set-up.")


def test_head_of_the_check_is_get_without_a_body(stack: Stack, function: ScannedFunction) -> None:
    stack.faults.add("export.list", Kind.STATUS, status=401, times=None)
    head = function.post(method="HEAD", path="check")
    assert (head.status, head.text) == (502, "")


def test_checks_leave_no_connections_or_threads_behind(stack: Stack, function: ScannedFunction) -> None:
    """Each reads the secret through a connection of its own."""
    del stack

    def opened() -> int:
        """Files, sockets and threads of the process that has most of them."""
        kinds = ("fd", "task")
        return max(
            sum(len(list(Path(f"/proc/{pid}/{kind}").iterdir())) for kind in kinds) for pid in tree(function.pid)
        )

    function.get("check")
    before = opened()
    for _ in range(15):
        assert function.get("check").status == 200
    assert opened() < before + 10
