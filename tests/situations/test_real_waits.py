"""The waits of retries.py in full: the other tests run a function whose waits are short."""

from collections.abc import Iterator

import pytest

from analytics_export.retries import TRIES_WITHOUT_PROGRESS
from local.faults import Kind
from local.stack import Stack
from tests.support.functions import Functions, ScannedFunction
from tests.support.requests_and_answers import DAY, exports, file, problem, span

pytestmark = [pytest.mark.ours_only, pytest.mark.slow]


@pytest.fixture
def real_function(stack: Stack, functions: Functions) -> Iterator[ScannedFunction]:
    """As deployed: main.py itself, not called yet."""
    del stack  # reset before the function is called
    with functions.fresh({}, has_short_waits=False) as function:
        yield function


def test_a_service_that_is_down_is_given_up_after_seven_tries_in_ten_seconds(
    stack: Stack, real_function: ScannedFunction
) -> None:
    """Each service fails one period, all at once. Half of each wait is random, so it takes 6.4 to 12.6 s."""
    where = {"2022-04-01": "export.list", "2022-04-02": "link.get", "2022-04-03": "object.insert"}
    for day, operation in where.items():
        stack.exports.put(f"granular-{day}", {file(0, f"granular-{day}"): b"a\n"})
        stack.faults.add(operation, Kind.STATUS, name=day, status=503, times=None)
    answer = real_function.post(span("2022-04-01", "2022-04-03"))
    problem(answer, 503, "upstream-unavailable")
    assert [each["status"] for each in exports(answer)] == ["failed"] * 3
    fired = {name.split()[0]: count for name, count in stack.faults.fired.items()}
    assert fired == dict.fromkeys(where.values(), TRIES_WITHOUT_PROGRESS)
    assert 6.3 < answer.seconds < 20


def test_a_bucket_that_cannot_be_listed_is_given_up_after_seven_tries_in_ten_seconds(
    stack: Stack, real_function: ScannedFunction
) -> None:
    stack.faults.add("object.list", Kind.STATUS, status=503, times=None)
    answer = real_function.post(DAY)
    problem(answer, 503, "upstream-unavailable")
    assert stack.storage.requests.count("object.list") == TRIES_WITHOUT_PROGRESS
    assert 6.3 < answer.seconds < 20


def test_a_secret_manager_that_is_down_is_given_up_after_twenty_seconds(
    stack: Stack, real_function: ScannedFunction
) -> None:
    stack.faults.add("secret.access", Kind.STATUS, status="UNAVAILABLE", times=None)
    answer = real_function.post(DAY)
    assert "did not answer within 20 s" in problem(answer, 503, "upstream-unavailable")["detail"]
    assert stack.secrets.requests.count() > 4
    assert 14 < answer.seconds < 30
