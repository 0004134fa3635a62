"""One JSON object a line on standard output, as Cloud Logging takes it.

Source: https://cloud.google.com/logging/docs/structured-logging (special fields `severity`, `message`, trace).
"""

import json
import re
import sys
import threading
import traceback
from collections.abc import Mapping

_one_line_at_a_time = threading.Lock()


class Log:
    """Writes events; fields given to `bind` are in every line."""

    def __init__(self, fields: Mapping[str, object] | None = None) -> None:
        self._fields = dict(fields or {})

    def bind(self, **fields: object) -> "Log":
        """Return a log with more fields."""
        return Log(self._fields | fields)

    def info(self, event: str, **fields: object) -> None:
        """Log what went well."""
        self._write("INFO", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Log what needs attention, though nothing is lost."""
        self._write("WARNING", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Log what must be corrected."""
        self._write("ERROR", event, fields)

    def defect(self, error: BaseException) -> None:
        """Log where the function failed, without the error's own text, which may hold a link."""
        frames = traceback.extract_tb(error.__traceback__)
        stack = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        self._write("ERROR", "defect", {"error": type(error).__name__, "stack": stack})

    def _write(self, severity: str, event: str, fields: Mapping[str, object]) -> None:
        line = json.dumps({"severity": severity, "message": event, **self._fields, **fields}, default=str)
        with _one_line_at_a_time:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


def trace_fields(*, traceparent: str, cloud_trace_context: str, project: str) -> dict[str, object]:
    """Return the fields that connect a line with the request's trace; empty without one.

    Sources: https://www.w3.org/TR/trace-context/ (traceparent: version-trace-parent-flags) and
    https://cloud.google.com/trace/docs/trace-context (X-Cloud-Trace-Context: TRACE/SPAN;o=OPTIONS).
    """
    match = re.match(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-", traceparent.lower()) or re.match(
        r"([0-9a-f]{32})(?:[/;]|$)", cloud_trace_context.lower()
    )
    return {"logging.googleapis.com/trace": f"projects/{project}/traces/{match[1]}"} if match else {}


def task_fields(*, name: str, retry_count: str) -> dict[str, object]:
    """Return the name and the retry count of the task that this call is; empty where it is none.

    From the headers X-CloudTasks-TaskName and X-CloudTasks-TaskRetryCount. Every caller of the
    function can send them, so they prove nothing.
    """
    if not name:
        return {}
    return {
        "task_name": name[:500],
        "task_retry_count": int(retry_count) if re.fullmatch("[0-9]{1,9}", retry_count) else 0,
    }
