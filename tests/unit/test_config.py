"""The settings: their defaults, forms and checks; all wrong ones are reported together."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_export.config import ApiVersion, Settings, origin_of
from analytics_export.errors import Misconfigured

REQUIRED = {
    "ANALYTICS_ID": "some-analytics-id",
    "BUCKET": "some-bucket",
    "API_KEY_SECRET": "projects/some-project/secrets/some-secret",
}
WRONG = {
    "ANALYTICS_ID": ["a/b", "a b", "a?b", "a#b", "a%2Fb", ".", "..", "a\\b", "a\nb", "x" * 257],
    "BUCKET": ["gs://some-bucket", "Some-Bucket", "a", "some bucket", "some-bucket/folder", "-bucket", "bucket-"],
    "API_KEY_SECRET": [
        "some-secret",
        "secrets/some-secret",
        "projects/some-project/secrets/some-secret/",
        "projects/some-project/secrets/some-secret/versions/",
        "projects/some-project/secrets/some-secret/versions/1/x",
        "projects//secrets/some-secret",
        "projects/some-project/secrets/some secret",
    ],
    "EXPORT_API_VERSION": ["v3", "2", "V2", "v1,v2"],
    "EXPORT_SERVICE_URL": [
        "data-export.example.org",
        "ftp://data-export.example.org",
        "https://user:secret@data-export.example.org",
        "https://data-export.example.org?key=1",
        "https://data-export.example.org#x",
        "https://",
        "https://data export.example.org",
    ],
    "DOWNLOAD_ORIGINS": [
        "storage.googleapis.com",
        "https://storage.googleapis.com/bucket",
        "https://user@storage.googleapis.com",
        "https://storage.googleapis.com,",
        "https://a.example.org https://b.example.org",
        "file:///tmp",
        "https://*.example.org/x",
    ],
    "OBJECT_PREFIX": ["analytics", "/analytics/", "analytics//", "../", "a/./", "a/../b/", "a\n/", "x" * 500 + "/"],
    "PARALLEL_TRANSFERS": ["0", "65", "-1", "1.5", "many", "8 8", "١", "1e1"],
    "DEADLINE_SECONDS": ["0", "3601", "-1", "soon", "inf", "nan", "1e3", "0.0"],
    "STALL_SECONDS": ["0", "3601", "-1", "soon", "inf", "nan"],
    "SECRET_MANAGER_EMULATOR_HOST": ["http://127.0.0.1:1", "127.0.0.1:1/x", "a b:1"],
    "TASKS_QUEUE": [
        "analytics-export",
        "projects/p/queues/q",
        "projects/p/locations/europe-west3/queues/",
        "projects/p/locations/europe-west3/queues/q/tasks/t",
        "projects/p/locations/Europe/queues/q",
        "projects/p/locations/europe-west3/queues/a_b",
        "projects//locations/europe-west3/queues/q",
        "projects/p/locations/europe-west3/queues/" + "q" * 101,
    ],
    "CLOUD_TASKS_EMULATOR_HOST": ["http://127.0.0.1:1", "127.0.0.1:1/x", "a b:1"],
    "STORAGE_EMULATOR_HOST": ["127.0.0.1:1", "http://127.0.0.1:1/x", "ftp://127.0.0.1:1"],
}


def test_the_default_settings_are_those_of_the_contract() -> None:
    assert Settings.from_env(REQUIRED) == Settings(
        analytics_id="some-analytics-id",
        bucket="some-bucket",
        api_key_secret_version="projects/some-project/secrets/some-secret/versions/latest",
        api_version=ApiVersion.V2,
        service_url="https://data-export.service.usercentrics.eu",
        download_origins=frozenset({"https://storage.googleapis.com"}),
        object_prefix="",
        parallel_transfers=8,
        deadline_s=1740,
        stall_s=60,
        secret_manager_emulator=None,
        tasks_queue=None,
        cloud_tasks_emulator=None,
    )


def test_v1_is_called_under_api_unless_a_service_url_is_set() -> None:
    v1 = {"EXPORT_API_VERSION": "v1"}
    assert Settings.from_env(REQUIRED | v1).service_url == "https://data-export.service.usercentrics.eu/api"
    given_url = REQUIRED | v1 | {"EXPORT_SERVICE_URL": "https://export.example.org/"}
    assert Settings.from_env(given_url).service_url == "https://export.example.org"


@pytest.mark.parametrize(
    ("name", "value", "attribute", "expected"),
    [
        ("ANALYTICS_ID", "Ab-1_2.3", "analytics_id", "Ab-1_2.3"),
        ("ANALYTICS_ID", "ünï", "analytics_id", "ünï"),
        ("BUCKET", "a.b_c-1", "bucket", "a.b_c-1"),
        ("API_KEY_SECRET", "projects/1/secrets/S", "api_key_secret_version", "projects/1/secrets/S/versions/latest"),
        ("API_KEY_SECRET", "projects/p/secrets/S/versions/7", "api_key_secret_version", None),
        ("API_KEY_SECRET", "projects/example.org:p/secrets/S/versions/latest", "api_key_secret_version", None),
        ("EXPORT_API_VERSION", "v1", "api_version", ApiVersion.V1),
        ("EXPORT_SERVICE_URL", "http://127.0.0.1:8080/", "service_url", "http://127.0.0.1:8080"),
        ("EXPORT_SERVICE_URL", "https://export.example.org/some/path", "service_url", None),
        ("DOWNLOAD_ORIGINS", "http://[::1]:80", "download_origins", frozenset({"http://[::1]"})),
        (
            "DOWNLOAD_ORIGINS",
            "https://A.example.org:443/, http://b.example.org:8080",
            "download_origins",
            frozenset({"https://a.example.org", "http://b.example.org:8080"}),
        ),
        ("OBJECT_PREFIX", "raw/usercentrics/", "object_prefix", "raw/usercentrics/"),
        ("PARALLEL_TRANSFERS", "1", "parallel_transfers", 1),
        ("PARALLEL_TRANSFERS", "64", "parallel_transfers", 64),
        ("DEADLINE_SECONDS", "3600", "deadline_s", 3600.0),
        ("DEADLINE_SECONDS", "0.5", "deadline_s", 0.5),
        ("STALL_SECONDS", "30", "stall_s", 30.0),
        ("SECRET_MANAGER_EMULATOR_HOST", "127.0.0.1:9090", "secret_manager_emulator", "127.0.0.1:9090"),
        ("TASKS_QUEUE", "projects/example.org:p/locations/europe-west3/queues/A-1", "tasks_queue", None),
        ("CLOUD_TASKS_EMULATOR_HOST", "[::1]:9090", "cloud_tasks_emulator", None),
        ("PARALLEL_TRANSFERS", "", "parallel_transfers", 8),
        ("PARALLEL_TRANSFERS", " 4\n", "parallel_transfers", 4),
    ],
)
def test_a_valid_setting_is_parsed(name: str, value: str, attribute: str, expected: object) -> None:
    assert getattr(Settings.from_env(REQUIRED | {name: value}), attribute) == (value if expected is None else expected)


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("value", [None, "", "  "], ids=["unset", "empty", "blank"])
def test_a_missing_setting_is_named(name: str, value: str | None) -> None:
    environ = {key: text for key, text in REQUIRED.items() if key != name} | ({} if value is None else {name: value})
    with pytest.raises(Misconfigured, match=rf"{name} must be .* not set") as refused:
        Settings.from_env(environ)
    assert (refused.value.status, refused.value.type) == (500, "misconfigured")
    assert names_in(refused.value) == {name}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_setting_is_named_with_the_expected_form(name: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=f"{name} must be .+; it is ") as refused:
        Settings.from_env(REQUIRED | {name: value})
    assert names_in(refused.value) == {name}


@pytest.mark.parametrize("name", ["API_KEY_SECRET", "EXPORT_SERVICE_URL", "DOWNLOAD_ORIGINS"])
def test_the_value_of_a_wrong_setting_is_not_repeated(name: str) -> None:
    """It may be the API key itself instead of its secret's name, or a link with a signature."""
    with pytest.raises(Misconfigured, match="it is set to something else") as refused:
        Settings.from_env(REQUIRED | {name: "?api-key-0123456789"})
    assert "0123456789" not in refused.value.detail


@given(st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in WRONG.items()}))
def test_all_wrong_settings_are_named_together(wrong: dict[str, str]) -> None:
    if not wrong:
        Settings.from_env(REQUIRED)
        return
    with pytest.raises(Misconfigured) as refused:
        Settings.from_env(REQUIRED | wrong)
    assert names_in(refused.value) == set(wrong)


@given(st.dictionaries(st.sampled_from([*WRONG]), st.text(max_size=30)))
def test_any_environment_is_accepted_or_its_wrong_settings_are_named(environ: dict[str, str]) -> None:
    try:
        Settings.from_env(REQUIRED | environ)
    except Misconfigured as refused:
        assert names_in(refused) <= set(environ)  # noqa: PT017 - either is right


def test_the_project_is_that_of_the_secret() -> None:
    assert Settings.from_env(REQUIRED).project == "some-project"


@pytest.mark.parametrize(
    ("scheme", "authority", "origin"),
    [
        ("https", "storage.googleapis.com", "https://storage.googleapis.com"),
        ("HTTPS", "Storage.GoogleApis.com:443", "https://storage.googleapis.com"),
        ("http", "127.0.0.1:80", "http://127.0.0.1"),
        ("http", "127.0.0.1:443", "http://127.0.0.1:443"),
        ("https", "example.org:4430", "https://example.org:4430"),
    ],
)
def test_an_origin_is_compared_in_lower_case_without_its_default_port(scheme: str, authority: str, origin: str) -> None:
    assert origin_of(scheme, authority) == origin


def names_in(error: Misconfigured) -> set[str]:
    return set(re.findall(r"\b([A-Z][A-Z_]+) must be", error.detail))
