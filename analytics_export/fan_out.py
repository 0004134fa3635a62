"""Exports -> tasks: each period becomes a call of this very function, as anybody could make it."""

import uuid
from collections.abc import Sequence

from analytics_export.periods import Export
from analytics_export.planning import HandedOn
from analytics_export.retries import Deadline
from analytics_export.tasks import NewTask, TaskQueue


def hand_on(queue: TaskQueue, exports: Sequence[Export], *, refresh: bool, deadline: Deadline) -> HandedOn:
    """Put a task for each export into the queue and say which are there; raises nothing that an operator may cause.

    A second task for a period does no harm: tasks come at least once and in any order anyway, and find a complete
    period complete. So each fan-out has an id of its own, and calling again is always right.
    """
    labelled = {_label(export): export for export in exports}
    tasks = (NewTask(label, _body(export, refresh=refresh)) for label, export in labelled.items())
    outcome = queue.queue_tasks(tasks, run_id=uuid.uuid4().hex, deadline=deadline)
    return HandedOn(frozenset(labelled[label] for label in outcome.queued), outcome.error)


def _label(export: Export) -> str:
    return f"{export.aggregation}-{export.period.frequency}-{export.period.start}"


def _body(export: Export, *, refresh: bool) -> dict[str, object]:
    start = export.period.start.isoformat()
    body: dict[str, object] = {
        "aggregation": export.aggregation,
        "frequency": export.period.frequency,
        "from": start,
        "to": start,
    }
    return body | {"refresh": True} if refresh else body
