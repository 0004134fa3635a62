"""An HTTP server whose answers the test chooses."""

import threading
import time
from itertools import pairwise
from types import TracebackType
from typing import Self

from local.faults import Faults
from local.http.exchange import Exchange
from local.http.response import Outcome, Response
from local.http.server import Handler, Server

OPERATION = "call"
"""The place (`where`) of its faults."""


def always(response: Response, *, after_s: float = 0.0) -> Handler:
    def answer(_: Exchange) -> Outcome:
        time.sleep(after_s)
        return response

    return answer


def in_turn(*handlers: Handler) -> Handler:
    """Use the handlers in turn, each for one request."""
    rest = iter(handlers)

    def answer(exchange: Exchange) -> Outcome:
        return next(rest)(exchange)

    return answer


def _error(path: str, status: int, text: str) -> Response:
    del path
    return Response(status, [("Content-Type", "text/plain")], text.encode())


class AnsweringServer(Server):
    """`answer` answers every request, and may block; by default it answers 200. Runs inside `with`."""

    def __init__(self, answer: Handler = always(Response(200))) -> None:  # noqa: B008 - it has no state
        super().__init__(self._call, error_form=_error, faults=Faults())
        self.answer = answer
        self.bodies: list[bytes] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()

    @property
    def task_ids(self) -> list[str]:
        """The names of the tasks with which Cloud Tasks called it."""
        return self.headers("X-CloudTasks-TaskName")

    def headers(self, name: str) -> list[str]:
        """This header of each request; empty where it had none."""
        return [request.headers.value(name) for request in self.requests.all()]

    def waits_s(self) -> list[float]:
        """The time between each request and the next."""
        times = [request.at for request in self.requests.all()]
        return [later - earlier for earlier, later in pairwise(times)]

    def _call(self, exchange: Exchange) -> Outcome:
        body = exchange.read_small_body()
        with self._lock:
            self.bodies.append(body)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return exchange.inject_before(OPERATION, exchange.head.path) or self.answer(exchange)
        finally:
            with self._lock:
                self._at_once -= 1

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
