"""HTTP sessions are the same for both schemes; the other tests use only the one without TLS."""

import pytest
from requests.adapters import HTTPAdapter

from analytics_export.http import session


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_http_session_has_the_given_number_of_connections_and_no_retries(scheme: str) -> None:
    adapter = session(connections=7).get_adapter(f"{scheme}://storage.example/")
    assert isinstance(adapter, HTTPAdapter)
    assert type(adapter) is type(session(connections=1).get_adapter("http://storage.example/"))
    pool = adapter.poolmanager.connection_from_url(f"{scheme}://storage.example/")
    assert (type(pool).__module__, pool.pool.maxsize) == ("analytics_export.http", 7)
    assert adapter.max_retries.total == 0


def test_an_http_session_ignores_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    made = session(connections=1)
    assert made.merge_environment_settings("https://storage.example/", {}, None, None, None)["proxies"] == {}
    assert made.headers["User-Agent"] == "usercentrics-analytics-export"
