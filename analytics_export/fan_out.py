"""Exports -> tasks: each period becomes a later call of this function, with the same body that a person would send."""

import uuid
from collections.abc import Callable, Sequence

from analytics_export.errors import ExportError
from analytics_export.periods import Export
from analytics_export.retries import Deadline
from analytics_export.tasks import NewTask, TaskQueue


def enqueue(
    queue: TaskQueue,
    exports: Sequence[Export],
    on_queued: Callable[[Export], object],
    *,
    refresh: bool,
    deadline: Deadline,
) -> ExportError | None:
    """Queue a task for each export. Returns the error that stopped it; None when all are queued.

    A second task for a period does no harm: Cloud Tasks may deliver a task twice and in any order anyway, and a task
    for a complete period has nothing to do. So each fan-out has its own id, and calling again is always safe.
    """
    labelled = {_label(export): export for export in exports}
    tasks = (NewTask(label, _body(export, refresh=refresh)) for label, export in labelled.items())
    return queue.queue_tasks(
        tasks,
        run_id=uuid.uuid4().hex,
        deadline=deadline,
        on_queued=lambda label: on_queued(labelled[label]),
    ).error


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
