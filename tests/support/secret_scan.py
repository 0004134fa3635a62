"""A search for what no answer, log line or error may contain: the API key, a link's query, an upload session's URL."""

import re

from local.request_log import Request
from local.stack import API_KEY, Stack

SECRET = re.compile(
    rf"{API_KEY}|[\w-]*secret-key[\w-]*|x-goog-(?:signature|credential)|upload_id|[a-z]+://[^\s\"']*\?\S+=",
    re.IGNORECASE,
)
"""Tests that rotate the key use keys such as some-secret-key."""


def secrets_in(text: str) -> list[str]:
    """Every secret in the text, with the text around it."""
    return [text[max(0, match.start() - 60) : match.end() + 20] for match in SECRET.finditer(text)]


def requests_with_the_key(stack: Stack) -> list[Request]:
    """The requests to Cloud Storage, links included, that have the API key in a header or in their address."""
    keys = {API_KEY, *stack.exports.keys}
    return [request for request in stack.storage.requests.all() if any(map(request.places_of, keys))]


def forget_requests(stack: Stack) -> None:
    """Clear the request logs of all services, so that a test counts what follows; fails if a link got the API key."""
    assert requests_with_the_key(stack) == []
    for log in (stack.exports.requests, stack.storage.requests, stack.secrets.requests):
        log.clear()
