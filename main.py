"""The doorway: one HTTP request in, what it asks for done, one answer out.

Deployed as a Cloud Run function with the entry point `export_analytics`. Importing this module reads no environment,
opens no client and loads no client library: those come with the first request that needs them.
"""

import functools
import threading
import traceback
from typing import TYPE_CHECKING

from analytics_export import export_request
from analytics_export.answers import Answer, Answers, Defect
from analytics_export.errors import ExportError, InvalidRequest
from analytics_export.logs import Log, trace_fields
from analytics_export.retries import Clock

if TYPE_CHECKING:
    import flask

    from analytics_export.app import App

_first_request = threading.Lock()


def export_analytics(request: "flask.Request") -> Answer:
    """Export the periods asked for and say how that went.

    Answers 200 with `exports`, or a problem document (RFC 9457) with the same; see the README for the statuses.
    """
    answers = Answers()
    log = Log()
    try:
        if request.method != "POST":
            return answers.method_not_allowed()
        with _first_request:
            app = _app()
        log = log.bind(
            **trace_fields(
                traceparent=request.headers.get("traceparent", ""),
                cloud_trace_context=request.headers.get("X-Cloud-Trace-Context", ""),
                project=app.settings.project,
            )
        )
        wanted = export_request.parse(
            body=request.stream.read(export_request.MAX_BODY_BYTES + 1),  # one more tells that it is too long
            query=request.args.to_dict(flat=False),
            schedule_time=request.headers.get("X-CloudScheduler-ScheduleTime"),
            clock=Clock().now,
        )
        return answers.of(app.export(wanted, log))
    except ExportError as error:
        write = log.warning if isinstance(error, InvalidRequest) else log.error  # the caller sees it; an operator must
        write("request_refused", error_type=error.type, detail=error.detail)
        return answers.problem(error)
    except Exception as error:  # noqa: BLE001 - the last line of defence: a defect is named without the error's own text
        log.error("defect", error=type(error).__name__, stack=_stack(error))  # noqa: TRY400 - its text may hold a link
        return answers.problem(Defect("The function has a defect; its log line `defect` says where."))


@functools.cache
def _app() -> "App":
    """Check the settings and open the clients; a failure is not kept."""
    from analytics_export.app import App  # noqa: PLC0415 - loads the client libraries

    return App.from_env()


def _stack(error: BaseException) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
