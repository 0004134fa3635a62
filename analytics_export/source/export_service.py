"""Usercentrics' export service: a period -> signed links, or an error.

Nothing above this module knows the provider's API. Source: Usercentrics, "Analytics data export"; the form of a v1
answer is not documented there, so every form that holds exactly one link is accepted.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import requests

from analytics_export.config import ApiVersion, Settings
from analytics_export.errors import (
    ExportError,
    ExportServiceError,
    ExportServiceRefused,
    NotAvailableYet,
    UpstreamUnavailable,
)
from analytics_export.http import NETWORK_ERRORS
from analytics_export.periods import Export
from analytics_export.retries import (
    LEAST_FAILURES,
    CircuitBreaker,
    Deadline,
    RetryBudget,
    is_retryable,
    retry_after_s,
)
from analytics_export.source.api_key import ApiKey, KeyOfThisCall
from analytics_export.source.links import Listing, SignedLink

REFUSALS = {requests.codes.unauthorized, requests.codes.forbidden}
MAX_FILES = 10_000
"""The most files of one report, in a v2 listing or asked for one after the other with v1."""
MAX_LISTING_BYTES = 8 * 1024 * 1024
MAX_ERROR_BYTES = 64 * 1024
NOT_YET_RETRY_AFTER = timedelta(minutes=15)


class ExportService:
    """Asks for listings for one call. The key is sent in the `x-api-key` header and never in a URL."""

    def __init__(self, settings: Settings, api_key: ApiKey, session: requests.Session, deadline: Deadline) -> None:
        self._settings = settings
        self._key = KeyOfThisCall(api_key, deadline.clock)
        self._session = session
        self._deadline = deadline
        self._circuit = CircuitBreaker(failures=LEAST_FAILURES)

    def listing(self, export: Export) -> Listing:
        """Return the links of a report, at least one.

        Raises NotAvailableYet, ExportServiceRefused, ExportServiceError, LinkRefused, UpstreamUnavailable, and
        Misconfigured when the key cannot be read.
        """
        prefix = export.file_prefix
        if self._settings.api_version is ApiVersion.V2:
            links, renew = self._v2_links(prefix), lambda _stale: self._v2_links(prefix)
        else:
            links, renew = self._v1_links(prefix)
        if not links:
            raise self._not_available(export)
        return Listing(links, renew)

    def _v2_links(self, prefix: str) -> list[SignedLink]:
        body = self._get(f"download/v2/analytics/{quote(self._settings.analytics_id)}/{prefix}")
        return [self._checked(url) for url in ([] if body is None else v2_urls(body))]

    def _v1_links(self, prefix: str) -> tuple[list[SignedLink], Callable[[SignedLink], list[SignedLink]]]:
        """Ask for one file after the other until one is not there."""

        def link(number: int) -> SignedLink | None:
            path = f"download/analytics/{quote(self._settings.analytics_id)}/{prefix}-{number:012d}.csv"
            body = self._get(path)
            url = None if body is None else v1_url(body)
            return None if url is None else self._checked(url)

        links: list[SignedLink] = []
        while (found := link(len(links))) is not None:
            if len(links) >= MAX_FILES:
                raise ExportServiceError(f"The export service names more than {MAX_FILES} files for {prefix}.")
            links.append(found)
        numbers = {each.file_name: number for number, each in enumerate(links)}

        def renew(stale: SignedLink) -> list[SignedLink]:
            fresh = link(numbers[stale.file_name])
            return [] if fresh is None else [fresh]

        return links, renew

    def _checked(self, url: str) -> SignedLink:
        return SignedLink.checked(url, origins=self._settings.download_origins)

    def _get(self, path: str) -> bytes | None:
        """Return the body of a 200, None for a 404; retries failures that may pass."""
        with self._circuit.attempt():
            budget = RetryBudget(self._deadline)
            key = self._key.value()
            while True:
                try:
                    status, headers, body = self._ask(path, key.text)
                except NETWORK_ERRORS as exc:
                    failure = UpstreamUnavailable(f"The export service cannot be reached ({type(exc).__name__}).")
                else:
                    if status == requests.codes.ok:
                        return body
                    if status == requests.codes.not_found:
                        return None
                    fresh = self._key.after_refusal(key) if status in REFUSALS else None
                    if fresh is not None:
                        key = fresh
                        continue
                    error = error_for(status, retry_after_s(headers.get("Retry-After"), self._deadline.clock))
                    if not isinstance(error, UpstreamUnavailable):
                        raise error
                    failure = error
                budget.wait(failure)

    def _ask(self, path: str, key: str) -> tuple[int, Mapping[str, str], bytes]:
        with self._session.get(
            f"{self._settings.service_url}/{path}",
            headers={"x-api-key": key, "Accept": "application/json"},
            allow_redirects=False,  # a redirect would send the key to another host
            stream=True,
            timeout=self._settings.stall_s,
        ) as response:
            is_listing = response.status_code == requests.codes.ok
            limit = MAX_LISTING_BYTES if is_listing else MAX_ERROR_BYTES  # a short body is read to keep the connection
            body = response.raw.read(limit + 1, decode_content=True)
            if is_listing and len(body) > limit:
                raise ExportServiceError(f"The export service's answer is longer than {limit} bytes.")
            return response.status_code, response.headers, body

    def _not_available(self, export: Export) -> NotAvailableYet:
        available_at = export.period.available_at
        return NotAvailableYet(
            f"The export service has no {export.file_prefix}; it should from about {available_at:%Y-%m-%dT%H:%M}Z on. "
            "Call again later; if it stays so, ask Usercentrics whether this export is activated.",
            retry_after_s=max(available_at - self._deadline.clock.now(), NOT_YET_RETRY_AFTER).total_seconds(),
        )


def error_for(status: int, asked_to_wait_s: float | None) -> ExportError:
    """Return the error for a status other than 200 and 404."""
    if status in REFUSALS:
        return ExportServiceRefused(
            f"The export service answered {status} to the API key, which was read from Secret Manager just now. Ask "
            "Usercentrics for a valid key and add it as a new version of the secret."
        )
    if is_retryable(status):
        return UpstreamUnavailable(f"The export service answered {status}.", asked_to_wait_s=asked_to_wait_s)
    return ExportServiceError(
        f"The export service answered {status}; expected 200. Check ANALYTICS_ID, EXPORT_API_VERSION and "
        "EXPORT_SERVICE_URL."
    )


def v2_urls(body: bytes) -> list[str]:
    """Return the links of a v2 answer, `{"downloadUrls": [...]}`; raises ExportServiceError."""
    value = _json(body)
    urls = value.get("downloadUrls") if isinstance(value, dict) else None
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise ExportServiceError(
            'The export service\'s answer cannot be understood: expected {"downloadUrls": [links]} as JSON '
            f"(it has {len(body)} bytes). Check EXPORT_SERVICE_URL and EXPORT_API_VERSION."
        )
    if len(urls) > MAX_FILES:
        raise ExportServiceError(f"The export service names {len(urls)} files; expected at most {MAX_FILES}.")
    return urls


def v1_url(body: bytes) -> str | None:
    """Return the one link of a v1 answer: in a JSON object, a JSON string, or plain text; None for an empty list.

    Raises ExportServiceError for anything else.
    """
    value = _json(body)
    if isinstance(value, dict):
        value = next((value[name] for name in ("downloadUrl", "url", "downloadUrls", "urls") if name in value), None)
    if value == []:
        return None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is _NOT_JSON:
        value = body.decode(errors="replace").strip()
    if not isinstance(value, str) or not re.match(r"https?://\S+$", value, re.IGNORECASE):
        raise ExportServiceError(
            "The export service's v1 answer cannot be understood: expected one link, as a JSON object (downloadUrl, "
            f"url), a JSON string or plain text (it has {len(body)} bytes). Check EXPORT_SERVICE_URL."
        )
    return value


_NOT_JSON = object()


def _json(body: bytes) -> Any:  # noqa: ANN401 - whatever the provider sends
    if body.count(b"[") + body.count(b"{") > MAX_FILES:
        return _NOT_JSON  # no listing; parsed, it could take a hundred times its size
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return _NOT_JSON
