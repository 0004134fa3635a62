"""Calls the function with a task, and applies the faults that are set for the call."""

import threading
from collections import Counter
from urllib.parse import urlsplit

from google.cloud.tasks_v2.types import Task

from local.faults import Fault, Faults, Kind
from local.request_log import Request, RequestLog
from local.tasks.delivery import NO_ANSWER_STATUS, Attempt, Delivery, Reply, headers
from local.tasks.rules import sent_headers

OPERATION = "task.deliver"


class Caller:
    """The calls of one queue.

    `targets` always replaces the host in a task's URL, as the queue's override does. If there are several, the least
    busy one is called, as Cloud Run does with its instances.
    """

    def __init__(self, queue_id: str, *, faults: Faults, log: RequestLog) -> None:
        self._queue_id = queue_id
        self._faults = faults
        self._log = log
        self._lock = threading.Lock()
        self._busy: Counter[str] = Counter()
        self._running: set[Delivery] = set()
        self.targets: list[str] = []
        self.deadline_scale = 1.0

    def faults_for(self, task_id: str) -> list[Fault]:
        """Return the faults that hit the next call with this task, and reduce their `times`."""
        return self._faults.take(OPERATION, task_id)

    def note_fired(self, fault: Fault) -> None:
        """Count a fault that acts."""
        self._faults.note_fired(fault, OPERATION)

    def call(self, task: Task, attempt: Attempt, faults: list[Fault]) -> Reply:
        """Call the function. Return its answer, or the status that counts as its answer."""
        task_id = task.name.rpartition("/")[2]
        path = urlsplit(task.http_request.url).path or "/"
        request = Request(method="POST", path=path, operation=OPERATION, name=task_id)
        self._log.add(request)
        reply = self._inject_before(faults, request) or self._answer(task, attempt, path)
        for fault in faults:
            if fault.kind is Kind.LOSE_ANSWER:
                self.note_fired(fault)
                reply = Reply(NO_ANSWER_STATUS)
        request.status = reply.status
        return reply

    def break_off(self) -> None:
        """Break the connection of every call."""
        with self._lock:
            for delivery in self._running:
                delivery.break_off()

    def _inject_before(self, faults: list[Fault], request: Request) -> Reply | None:
        """Apply the faults that act before the call. Return a fault's answer if it replaces the call."""
        reply = None
        for fault in faults:
            if fault.kind in {Kind.HOLD, Kind.STALL}:
                self.note_fired(fault)
                fault.wait()
            elif fault.kind is Kind.CALL and fault.call:
                self.note_fired(fault)
                fault.call(request)
            elif fault.kind is Kind.STATUS:
                self.note_fired(fault)
                reply = Reply(int(fault.status), float(fault.headers.get("Retry-After", 0)))
        return reply

    def _answer(self, task: Task, attempt: Attempt, path: str) -> Reply:
        task_id = task.name.rpartition("/")[2]
        with self._lock:
            target = min(self.targets, key=self._busy.__getitem__, default=None)
            if target is None:  # the targets were removed meanwhile
                return Reply(NO_ANSWER_STATUS)
            delivery = Delivery(
                target,
                path=path,
                headers=headers(sent_headers(task), queue_id=self._queue_id, task_id=task_id, attempt=attempt),
                body=task.http_request.body,
                timeout_s=task.dispatch_deadline.total_seconds() * self.deadline_scale,
            )
            self._busy[target] += 1
            self._running.add(delivery)
        try:
            return delivery.run()
        finally:
            with self._lock:
                self._busy[target] -= 1
                self._running.discard(delivery)
