"""One queue: it keeps tasks, calls the function with them, and retries.

What is modelled, and how:

- At most `max_concurrent_dispatches` calls at once, at the rate of `local.tasks.pace`. The task that has been due for
  the longest time is next; there is no other order.
- 2xx ends a task. Another status, no answer within the task's dispatch deadline (504) and a broken connection (503)
  are failures: the task is retried after the backoff of `retry`, or after Retry-After if that is longer. After
  `max_attempts` the task is deleted; there is no dead-letter queue (but `gave_up` lists these tasks).
- 429 and 503 slow the whole queue down (`local.tasks.pace`); other errors delay only their own task.
- A task's name cannot be used again while the task exists and for `name_memory_s` after its end.
- While there is no target, nothing is delivered.
"""

import heapq
import itertools
import threading
import time
from dataclasses import dataclass, field

from google.cloud.tasks_v2.types import Task

from local.faults import Fault, Faults, Kind
from local.request_log import RequestLog
from local.tasks.caller import Caller
from local.tasks.delivery import Attempt, Reply
from local.tasks.pace import Pace
from local.tasks.rules import RetryRules

TICK_S = 0.05
"""The longest time until a changed limit or target takes effect."""
STOP_S = 5.0


@dataclass(order=True)
class _Dispatch:
    """A planned delivery. The answer to a copy is ignored: the task may have ended before."""

    due: float
    number: int
    task: Task = field(compare=False)
    attempt: Attempt = field(compare=False)
    is_copy: bool = field(compare=False, default=False)
    is_delayed: bool = field(compare=False, default=False)
    """Whether a fault has delayed it already: that happens once."""

    @property
    def task_id(self) -> str:
        """The last part of the task's name."""
        return self.task.name.rpartition("/")[2]


class Queue:
    """A queue; it delivers from `start` to `stop`. Its settings may be changed at any time."""

    def __init__(self, name: str, *, faults: Faults, log: RequestLog) -> None:
        self.name = name
        self.id = name.rpartition("/")[2]
        self._condition = threading.Condition()
        self._numbers = itertools.count()
        self._is_stopped = True
        self._dispatcher = threading.Thread()
        self._calls = 0
        self._caller = Caller(self.id, faults=faults, log=log)
        self._set_up()

    def _set_up(self) -> None:
        self.pace = Pace()
        self.retry = RetryRules()
        self.max_concurrent_dispatches = 2
        self.wait_scale = 1.0
        """Factor for the waits of backoff and slowing down: 0.001 turns a minute into 60 ms."""
        self.targets = []
        self.deadline_scale = 1.0
        self.name_memory_s = 24 * 3600.0
        self.is_paused = False
        self.purged_at: float | None = None
        """In seconds since 1970."""
        self.gave_up: list[str] = []
        """IDs of the tasks that were deleted after their last attempt."""
        self._tasks: dict[str, _Dispatch] = {}
        """The next delivery, or the one in progress, of each task that has not ended, by ID."""
        self._ended_at: dict[str, float] = {}
        self._dispatches: list[_Dispatch] = []

    @property
    def targets(self) -> list[str]:
        """The function's addresses, `http://host:port`, one for each instance."""
        return self._caller.targets

    @targets.setter
    def targets(self, urls: list[str]) -> None:
        self._caller.targets = urls

    @property
    def deadline_scale(self) -> float:
        """Factor for a task's dispatch deadline."""
        return self._caller.deadline_scale

    @deadline_scale.setter
    def deadline_scale(self, scale: float) -> None:
        self._caller.deadline_scale = scale

    def start(self) -> None:
        """Start to deliver."""
        self._is_stopped = False
        self._dispatcher = threading.Thread(target=self._dispatch_all, name=f"queue {self.id}", daemon=True)
        self._dispatcher.start()

    def stop(self) -> None:
        """Stop delivering, break the calls in progress, and wait until they have ended."""
        self._is_stopped = True
        self._break_off()
        if self._dispatcher.ident is not None:
            self._dispatcher.join(STOP_S)

    def reset(self) -> None:
        """Restore the state after the start: no task, name, target or setting is left."""
        self.is_paused = True
        self._break_off()
        with self._condition:
            self._set_up()

    def _break_off(self) -> None:
        with self._condition:
            self._dispatches.clear()
            self._condition.notify_all()
            deadline = time.monotonic() + STOP_S
            while self._calls and time.monotonic() < deadline:
                self._caller.break_off()
                self._condition.wait(TICK_S)

    def add(self, task: Task) -> bool:
        """Add a task with its full name. Return False if a task has, or had recently, this name."""
        dispatch = self._planned(task, Attempt(task.schedule_time.timestamp()))
        with self._condition:
            if dispatch.task_id in self._tasks or self._is_remembered(dispatch.task_id):
                return False
            self._tasks[dispatch.task_id] = dispatch
            self._schedule(dispatch)
            return True

    def has_task(self, task_id: str) -> bool:
        """Whether the queue has a task of this ID that has not ended."""
        with self._condition:
            return task_id in self._tasks

    def tasks(self) -> list[Task]:
        """Copies of the tasks that have not ended, sorted by name, with body and counts."""
        with self._condition:
            dispatches = sorted(self._tasks.values(), key=lambda dispatch: dispatch.task.name)
        tasks = [Task(dispatch.task) for dispatch in dispatches]
        for task, dispatch in zip(tasks, dispatches, strict=True):
            task.dispatch_count = task.response_count = dispatch.attempt.retries
        return tasks

    def pause(self) -> None:
        """Dispatch nothing from now on; calls in progress continue."""
        with self._condition:
            self.is_paused = True

    def resume(self) -> None:
        """Dispatch again."""
        with self._condition:
            self.is_paused = False
            self._condition.notify_all()

    def purge(self) -> None:
        """End every task. Calls in progress continue; their answers are ignored."""
        with self._condition:
            self.purged_at = time.time()
            for task_id in list(self._tasks):
                self._end(task_id)

    def wait_until_empty(self, timeout: float = 30.0) -> None:
        """Return once no task and no call in progress is left. Raises TimeoutError after `timeout` seconds."""
        with self._condition:
            if not self._condition.wait_for(lambda: not (self._tasks or self._dispatches or self._calls), timeout):
                raise TimeoutError(f"{len(self._tasks)} tasks were left in {self.name} after {timeout} s")

    def _is_remembered(self, task_id: str) -> bool:
        ended_at = self._ended_at.get(task_id)
        return ended_at is not None and time.monotonic() - ended_at < self.name_memory_s

    def _is_current(self, dispatch: _Dispatch) -> bool:
        """Whether its task waits for this delivery: it is no copy, and the task has not ended."""
        return self._tasks.get(dispatch.task_id) is dispatch

    def _end(self, task_id: str) -> None:
        del self._tasks[task_id]
        self._ended_at[task_id] = time.monotonic()
        self._condition.notify_all()

    def _planned(self, task: Task, attempt: Attempt, *, is_copy: bool = False, delay_s: float = 0.0) -> _Dispatch:
        due = time.monotonic() + max(0.0, attempt.eta - time.time()) + delay_s
        return _Dispatch(due, next(self._numbers), task, attempt, is_copy=is_copy, is_delayed=delay_s > 0)

    def _schedule(self, dispatch: _Dispatch) -> None:
        heapq.heappush(self._dispatches, dispatch)
        self._condition.notify_all()

    def _dispatch_all(self) -> None:
        while (dispatch := self._next()) is not None:
            threading.Thread(target=self._deliver, args=(dispatch,), daemon=True).start()

    def _next(self) -> _Dispatch | None:
        """Wait until a delivery may start, and return it; None if the queue is stopped."""
        with self._condition:
            while not self._is_stopped:
                wait_s = self._wait_s(time.monotonic())
                if wait_s > 0:
                    self._condition.wait(wait_s)
                    continue
                dispatch = heapq.heappop(self._dispatches)
                if dispatch.is_copy or self._is_current(dispatch):
                    self._calls += 1
                    self.pace.dispatched()
                    return dispatch
                self._condition.notify_all()
            return None

    def _wait_s(self, now: float) -> float:
        """Seconds until a delivery may start, or until the settings must be read again."""
        is_full = self._calls >= self.max_concurrent_dispatches
        if self.is_paused or is_full or not self.targets or not self._dispatches:
            return TICK_S
        return min(TICK_S, max(self._dispatches[0].due - now, self.pace.wait_s(now)))

    def _deliver(self, dispatch: _Dispatch) -> None:
        faults = self._caller.faults_for(dispatch.task_id)
        if self._delay(dispatch, faults):
            return
        self._copy(dispatch, faults, Kind.TWICE)
        reply = self._caller.call(dispatch.task, dispatch.attempt, faults)
        self._copy(dispatch, faults, Kind.AGAIN)
        with self._condition:
            self._calls -= 1
            self._finish_or_retry(dispatch, reply)
            self._condition.notify_all()

    def _delay(self, dispatch: _Dispatch, faults: list[Fault]) -> bool:
        """Schedule the delivery again, later, if a fault requires it. Return whether it did; it does so only once."""
        fault = next((fault for fault in faults if fault.kind is Kind.DELAY), None)
        if fault is None or dispatch.is_delayed:
            return False
        self._caller.note_fired(fault)
        later = self._planned(dispatch.task, dispatch.attempt, is_copy=dispatch.is_copy, delay_s=fault.seconds)
        with self._condition:
            self._calls -= 1
            if self._is_current(dispatch):
                self._tasks[dispatch.task_id] = later
            self._schedule(later)
        return True

    def _copy(self, dispatch: _Dispatch, faults: list[Fault], kind: Kind) -> None:
        for fault in faults:
            if fault.kind is kind and not dispatch.is_copy:
                self._caller.note_fired(fault)
                with self._condition:
                    self._schedule(self._planned(dispatch.task, dispatch.attempt, is_copy=True))

    def _finish_or_retry(self, dispatch: _Dispatch, reply: Reply) -> None:
        self.pace.answered(reply.status, retry_after_s=reply.retry_after_s, wait_scale=self.wait_scale)
        task_id, attempt = dispatch.task_id, dispatch.attempt
        if not self._is_current(dispatch):
            return
        if reply.is_success:
            self._end(task_id)
        elif not self.retry.allow_another(attempt.retries + 1):
            self.gave_up.append(task_id)
            self._end(task_id)
        else:
            wait_s = max(self.retry.backoff_s(attempt.retries + 1), reply.retry_after_s) * self.wait_scale
            retry = self._planned(dispatch.task, attempt.failed(reply.status, next_eta=time.time() + wait_s))
            self._tasks[task_id] = retry
            self._schedule(retry)
