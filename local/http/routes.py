"""A stand-in's table of routes: which handler answers which request.

A pattern is a path, with `{name}` for one segment, `{name...}` for the rest, and `*` for any text. After a `?` follows
what the query must contain: `?alt=media` this value, `?upload_id` any value. The first matching route is used.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote

from local.http.exchange import Exchange
from local.http.request_head import RequestHead
from local.http.response import Outcome

ANY = "*"
"""Matches every method."""


@dataclass(frozen=True)
class Route:
    """One row. The handler receives the stand-in, the exchange, and the decoded values of the pattern's names."""

    method: str
    pattern: str
    handler: Callable[..., Outcome]

    def values(self, head: RequestHead) -> dict[str, str] | None:
        """Return the decoded values of the pattern's names; None if the request does not match."""
        if self.method not in {ANY, head.method} or not self._matches_query(head):
            return None
        match = self._path.fullmatch(head.path)
        return match and {name: unquote(value) for name, value in match.groupdict().items()}

    def _matches_query(self, head: RequestHead) -> bool:
        name, value = self._query
        return not name or (name in head.query and value in {"", head.query[name]})

    @cached_property
    def _path(self) -> re.Pattern[str]:
        path, _, _ = self.pattern.partition("?")
        path = path.replace("*", ".*")
        path = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]*)", path)
        return re.compile(re.sub(r"\{(\w+)\.\.\.\}", r"(?P<\1>.*)", path))

    @cached_property
    def _query(self) -> tuple[str, str]:
        _, _, query = self.pattern.partition("?")
        name, _, value = query.partition("=")
        return name, value


def find(routes: Sequence[Route], head: RequestHead) -> tuple[Callable[..., Outcome], dict[str, str]] | None:
    """Return the request's handler, and its arguments by name; None if no route matches."""
    for route in routes:
        values = route.values(head)
        if values is not None:
            return route.handler, values
    return None


def dispatch(routes: Sequence[Route], stand_in: object, exchange: Exchange) -> Outcome | None:
    """Call the request's handler and return its outcome; None if no route matches."""
    found = find(routes, exchange.head)
    if found is None:
        return None
    handler, values = found
    return handler(stand_in, exchange, **values)
