"""Makes and checks signed links to objects, as the XML API of Cloud Storage accepts them.

A link has the form of a V4 signature (`X-Goog-Algorithm` ... `X-Goog-Signature`); the signature is an HMAC with a key
of this process, and valid only for GET. It covers the path, the host and every other parameter.
"""

import hashlib
import hmac
import math
import secrets
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

SIGNATURE = "X-Goog-Signature"


class Links:
    """Makes links to the objects of one server, and knows when each expires."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._expiries: dict[str, float] = {}
        """Epoch seconds by signature: more precise than the whole seconds in a link."""

    def sign(self, bucket: str, name: str, *, life_s: float = 900, encoded_name: str = "") -> str:
        """Return a link to an object, whether it exists or not; valid for `life_s` seconds (fractions count).

        `encoded_name` is the encoded name in the link, if it shall not be the usual one, such as `a%2Fb` for `a/b`.
        """
        path = f"/{bucket}/{encoded_name or quote(name, safe='/~')}"
        now = datetime.now(UTC)
        query = {
            "X-Goog-Algorithm": "GOOG4-RSA-SHA256",
            "X-Goog-Credential": f"local@stack/{now:%Y%m%d}/auto/storage/goog4_request",
            "X-Goog-Date": f"{now:%Y%m%dT%H%M%SZ}",
            "X-Goog-Expires": str(max(1, math.ceil(life_s))),
            "X-Goog-SignedHeaders": "host",
            "X-Goog-Nonce": secrets.token_hex(4),
        }
        signature = self._signature(path, query)
        with self._lock:
            self._expiries[signature] = time.time() + life_s
        return f"{self._url}{path}?{urlencode({**query, SIGNATURE: signature})}"

    def expire_all(self) -> None:
        """Make every existing link expire; later links are valid."""
        with self._lock:
            self._expiries = dict.fromkeys(self._expiries, 0.0)

    def is_genuine(self, path: str, query: Mapping[str, str]) -> bool:
        """Whether the link is unchanged since it was signed here."""
        rest = {name: value for name, value in query.items() if name != SIGNATURE}
        return hmac.compare_digest(self._signature(path, rest), query.get(SIGNATURE, ""))

    def is_expired(self, query: Mapping[str, str]) -> bool:
        """Whether a genuine link has expired."""
        with self._lock:
            return time.time() >= self._expiries.get(query[SIGNATURE], 0.0)

    def _signature(self, path: str, query: Mapping[str, str]) -> str:
        text = "\n".join(["GET", path, *map(repr, sorted(query.items())), self._url])
        return hmac.new(self._key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
