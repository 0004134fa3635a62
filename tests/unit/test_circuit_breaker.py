"""A service that is down is detected once per call; one bad file or period does not open the circuit."""

from collections.abc import Callable

import pytest

from analytics_export.errors import DeadlineReached, ExportError, UpstreamUnavailable
from analytics_export.retries import CircuitBreaker

FAILURES = 3


@pytest.fixture
def circuit() -> CircuitBreaker:
    return CircuitBreaker(failures=FAILURES)


def fail(
    circuit: CircuitBreaker,
    period: str | None = None,
    error: ExportError | None = None,
    meanwhile: Callable[[CircuitBreaker], None] = lambda _: None,
) -> ExportError:
    """What a failing attempt raises, or one that an open circuit refuses."""
    failure = error or UpstreamUnavailable("it is down")
    try:
        with circuit.attempt(period):
            meanwhile(circuit)
            raise failure
    except ExportError as raised:
        return raised


def succeed(circuit: CircuitBreaker) -> None:
    with circuit.attempt():
        pass


def is_open(circuit: CircuitBreaker) -> bool:
    try:
        with circuit.attempt():
            raise DeadlineReached("this attempt was made; it counts neither way")
    except UpstreamUnavailable:
        return True
    except DeadlineReached:
        return False


def test_the_circuit_opens_after_so_many_failures(circuit: CircuitBreaker) -> None:
    for _ in range(FAILURES - 1):
        fail(circuit)
        assert not is_open(circuit)
    fail(circuit)
    assert is_open(circuit)


def test_an_open_circuit_raises_the_failure_that_opened_it_without_its_traceback(circuit: CircuitBreaker) -> None:
    for _ in range(FAILURES - 1):
        fail(circuit)
    last = UpstreamUnavailable("the last", asked_to_wait_s=900)
    assert fail(circuit, error=last) is last
    for _ in range(2):
        with pytest.raises(UpstreamUnavailable, match="the last") as raised, circuit.attempt():
            pytest.fail("no attempt is made")
        assert raised.value is not last
        assert raised.value.retry_after_s == 900
        assert raised.value.__cause__ is None
        assert raised.value.__context__ is None


def test_a_success_resets_the_count_of_failures(circuit: CircuitBreaker) -> None:
    for _ in range(FAILURES - 1):
        fail(circuit)
    succeed(circuit)
    for _ in range(FAILURES - 1):
        fail(circuit)
    assert not is_open(circuit)


def test_failures_of_one_period_count_once_for_the_circuit(circuit: CircuitBreaker) -> None:
    for _ in range(FAILURES * 2):
        fail(circuit, period="2022-04-01")
    assert not is_open(circuit)
    for day in ("2022-04-02", "2022-04-03"):
        fail(circuit, period=day)
    assert is_open(circuit)


def test_a_failure_does_not_count_if_another_attempt_succeeded_meanwhile(circuit: CircuitBreaker) -> None:
    for _ in range(FAILURES - 1):
        fail(circuit)
    fail(circuit, meanwhile=succeed)
    assert not is_open(circuit)
    for _ in range(FAILURES - 1):
        fail(circuit)
    assert not is_open(circuit), "the success reset the count"


def test_an_error_that_is_not_an_outage_does_not_change_the_circuit(circuit: CircuitBreaker) -> None:
    for _ in range(FAILURES - 1):
        fail(circuit)
    for _ in range(FAILURES):
        fail(circuit, error=DeadlineReached("x"))
    assert not is_open(circuit)
    fail(circuit)
    assert is_open(circuit)
