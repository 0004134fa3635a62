"""A stand-in's table of routes: what it answers, readable at the top of its module.

A pattern is a path: `{name}` in place of a segment, `{name...}` of the rest, `*` of anything that does not matter. A
`?` after it names what the query must hold: `?alt=media` this value, `?upload_id` any value. The first route that fits
is taken.
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
"""Fits every method."""


@dataclass(frozen=True)
class Route:
    """One row. The handler takes the stand-in, the exchange, and what the pattern's names stand for, decoded."""

    method: str
    pattern: str
    handler: Callable[..., Outcome]

    def values(self, head: RequestHead) -> dict[str, str] | None:
        """What the pattern's names stand for; None where the request is another one."""
        if self.method not in {ANY, head.method} or not self._is_query_met(head):
            return None
        match = self._path.fullmatch(head.path)
        return match and {name: unquote(value) for name, value in match.groupdict().items()}

    def _is_query_met(self, head: RequestHead) -> bool:
        name, wanted = self._query
        return not name or (name in head.query and wanted in {"", head.query[name]})

    @cached_property
    def _path(self) -> re.Pattern[str]:
        path, _, _ = self.pattern.partition("?")
        path = path.replace("*", ".*")
        path = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]*)", path)
        return re.compile(re.sub(r"\{(\w+)\.\.\.\}", r"(?P<\1>.*)", path))

    @cached_property
    def _query(self) -> tuple[str, str]:
        _, _, query = self.pattern.partition("?")
        name, _, wanted = query.partition("=")
        return name, wanted


def find(routes: Sequence[Route], head: RequestHead) -> tuple[Callable[..., Outcome], dict[str, str]] | None:
    """The handler of a request, and the values that it takes by name; None without a route."""
    for route in routes:
        values = route.values(head)
        if values is not None:
            return route.handler, values
    return None


def dispatch(routes: Sequence[Route], stand_in: object, exchange: Exchange) -> Outcome | None:
    """What the request's handler gives back; None without a route."""
    found = find(routes, exchange.head)
    if found is None:
        return None
    handler, values = found
    return handler(stand_in, exchange, **values)
