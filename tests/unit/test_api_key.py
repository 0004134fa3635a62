"""The key from Secret Manager: what a valid key is, what an error says, and when the key is read again."""

from collections.abc import Iterator

import pytest

from analytics_export.errors import Misconfigured, UpstreamUnavailable
from analytics_export.source.api_key import ApiKey
from local.faults import Faults, Kind
from local.secret_manager import SecretManager

SECRET = "projects/local/secrets/key"
VERSION = f"{SECRET}/versions/latest"


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def secrets(faults: Faults) -> Iterator[SecretManager]:
    service = SecretManager(faults=faults)
    service.add_version(SECRET, "first")
    service.start()
    yield service
    faults.clear()
    service.stop()


def api_key(secrets: SecretManager, version: str = VERSION) -> ApiKey:
    return ApiKey(version, emulator=secrets.host, budget_s=3.0)


def refusal(secrets: SecretManager, version: str = VERSION) -> str:
    with pytest.raises(Misconfigured) as refused:
        api_key(secrets, version).value()
    assert (refused.value.status, refused.value.type) == (500, "misconfigured")
    assert version in refused.value.detail
    return refused.value.detail


@pytest.mark.parametrize(
    "payload", ["some key", " some key\r\n", "some key\n"], ids=["no space", "spaces", "a newline"]
)
def test_white_space_around_the_key_is_removed(secrets: SecretManager, payload: str) -> None:
    """`echo KEY | gcloud secrets versions add` adds a newline."""
    secrets.add_version(SECRET, payload)
    assert api_key(secrets).value() == "some key"


INVALID_KEYS = {
    "empty": b"",
    "blank": b" \n",
    "a newline": b"\n",
    "two lines": b"two\nlines",
    "a header in it": b"key\nX-Evil: 1",
    "not ASCII": "schlüssel".encode(),
    "not text": b"\xff\xfe",
    "a NUL": b"key\0",
}


@pytest.mark.parametrize("payload", INVALID_KEYS.values(), ids=INVALID_KEYS)
def test_an_invalid_key_is_refused_and_not_repeated(secrets: SecretManager, payload: bytes) -> None:
    secrets.add_version(SECRET, payload)
    detail = refusal(secrets)
    assert "one line of printable ASCII" in detail
    assert "Evil" not in detail


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("projects/local/secrets/nowhere/versions/latest", "does not exist"),
        (f"{SECRET}/versions/99", "does not exist"),
    ],
    ids=["no such secret", "no such version"],
)
def test_a_secret_that_does_not_exist_is_named(secrets: SecretManager, version: str, says: str) -> None:
    assert says in refusal(secrets, version)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("PERMISSION_DENIED", "roles/secretmanager.secretAccessor"),
        ("UNAUTHENTICATED", "roles/secretmanager.secretAccessor"),
        ("INVALID_ARGUMENT", "roles/secretmanager.secretAccessor"),
        ("FAILED_PRECONDITION", "disabled"),
        ("NOT_FOUND", "does not exist"),
    ],
)
def test_the_error_for_an_unreadable_secret_says_what_to_do(
    secrets: SecretManager, faults: Faults, code: str, says: str
) -> None:
    faults.add("secret.access", Kind.STATUS, status=code, times=None)
    detail = refusal(secrets)
    assert detail.startswith("API_KEY_SECRET: ")
    assert says in detail
    assert secrets.requests.count() == 1


@pytest.mark.parametrize("code", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "RESOURCE_EXHAUSTED"])
def test_a_temporary_failure_of_secret_manager_is_retried(secrets: SecretManager, faults: Faults, code: str) -> None:
    faults.add("secret.access", Kind.STATUS, status=code, times=2)
    assert api_key(secrets).value() == "first"
    assert secrets.requests.count() == 3


def test_an_outage_of_secret_manager_is_given_up_and_not_remembered(secrets: SecretManager, faults: Faults) -> None:
    outage = faults.add("secret.access", Kind.STATUS, status="UNAVAILABLE", times=None)
    key = api_key(secrets)
    with pytest.raises(UpstreamUnavailable, match="Secret Manager did not answer within 3 s"):
        key.value()
    assert outage.fired > 2
    faults.clear()
    assert key.value() == "first"


def test_the_key_is_read_once_until_it_must_be_read_again(secrets: SecretManager) -> None:
    key = api_key(secrets)
    assert [key.value(), key.value()] == ["first", "first"]
    secrets.add_version(SECRET, "second")
    assert key.value() == "first"
    assert secrets.requests.count() == 1
    assert [key.read_again(), key.value()] == ["second", "second"]
    assert secrets.requests.count() == 2


def test_the_version_in_the_setting_is_read(secrets: SecretManager) -> None:
    secrets.add_version(SECRET, "second")
    assert api_key(secrets, f"{SECRET}/versions/1").value() == "first"
