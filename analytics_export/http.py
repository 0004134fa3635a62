"""HTTP connections: kept, never retried behind our back, no proxy or credentials from the environment."""

import logging
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

NETWORK_ERRORS = (requests.RequestException, HTTPError, OSError)

BLOCK_BYTES = 256 * 1024
"""What one read and one write move: larger costs memory, smaller costs processor time."""

logging.getLogger("urllib3").setLevel(logging.INFO)  # its DEBUG lines hold whole links and upload session URLs


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed through
        super().init_poolmanager(*args, blocksize=BLOCK_BYTES, **kwargs)


def adapter(*, connections: int) -> HTTPAdapter:
    """Return an adapter that keeps up to `connections` open to each host.

    Retries are the callers' business: urllib3 would log the whole link, query included, with each of its own.
    """
    return _Adapter(pool_maxsize=connections, max_retries=0)


def session(*, connections: int) -> requests.Session:
    """Return a session for `connections` threads; it ignores proxies and ~/.netrc, which might add credentials."""
    made = requests.Session()
    made.trust_env = False
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # one party's cookies are not for another
    made.headers["User-Agent"] = "usercentrics-analytics-export"
    made.mount("https://", adapter(connections=connections))
    made.mount("http://", adapter(connections=connections))
    return made
