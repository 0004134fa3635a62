"""The entry point: an HTTP request is matched to its handler, and the handler's answer is returned.

Deployed as a Cloud Run function with the entry point `export_analytics`. Importing this module reads no environment,
opens no client and loads no client library; the first request that needs them does.
"""

import functools
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from analytics_export import export_request
from analytics_export.answers import Answer, Answers, compressed, to_question
from analytics_export.errors import Defect, ExportError, InvalidRequest, Misconfigured
from analytics_export.logs import Log, task_fields, trace_fields
from analytics_export.retries import Clock

if TYPE_CHECKING:
    import flask

    from analytics_export.app import App

_first_request = threading.Lock()


def export_analytics(request: "flask.Request") -> Answer:
    """Do what the request's path and method ask for.

    POST exports, GET answers a question. Errors are problem documents (RFC 9457).
    """
    answers = Answers()
    handlers = ROUTES.get(request.path)
    if handlers is None:
        return answers.no_such_path(ROUTES)
    if request.method not in handlers:
        return answers.method_not_allowed(handlers)
    call = _Call(request, answers)
    try:
        return handlers[request.method](call)
    except ExportError as error:
        # a wrong request concerns its caller; everything else concerns the operator
        write = call.log.warning if isinstance(error, InvalidRequest) else call.log.error
        write("request_refused", error_type=error.type, detail=error.detail)
        return call.problem(error)
    except Exception as error:  # noqa: BLE001 - a defect is answered and logged without the error's own text, which may hold a link
        call.log.defect(error)
        return call.problem(Defect())


class _Call:
    """One request and what its handler needs."""

    def __init__(self, request: "flask.Request", answers: Answers) -> None:
        self.request = request
        self.answers = answers
        self.task = task_fields(
            name=request.headers.get("X-CloudTasks-TaskName", ""),
            retry_count=request.headers.get("X-CloudTasks-TaskRetryCount", ""),
        )
        self.log = Log().bind(**self.task)

    def app(self) -> "App":
        """Return what this warm instance keeps; from now on the log of this call names its trace."""
        with _first_request:
            app = _app()
        self.log = self.log.bind(
            **trace_fields(
                traceparent=self.request.headers.get("traceparent", ""),
                cloud_trace_context=self.request.headers.get("X-Cloud-Trace-Context", ""),
                project=app.settings.project,
            )
        )
        return app

    @property
    def schedule_time(self) -> str | None:
        return self.request.headers.get("X-CloudScheduler-ScheduleTime")

    @property
    def query(self) -> Mapping[str, list[str]]:
        return self.request.args.to_dict(flat=False)

    @property
    def wants_page(self) -> bool:
        """Whether the caller prefers HTML, as a browser does."""
        accepted = self.request.accept_mimetypes
        return accepted.quality("text/html") > accepted.quality("application/json")

    def problem(self, error: ExportError) -> Answer:
        return self.answers.problem(error) if self.request.method == "POST" else to_question({}, error)


# A handler for each path and method. The modules that only questions need are loaded by the first question.


def _export(call: _Call) -> Answer:
    app = call.app()
    wanted = export_request.parse(
        body=call.request.stream.read(export_request.MAX_BODY_BYTES + 1),  # one byte more shows that it is too long
        query=call.query,
        schedule_time=call.schedule_time,
        clock=Clock().now,
    )
    return call.answers.of(app.export(wanted, call.log), is_task=bool(call.task))


def _coverage(call: _Call) -> Answer:
    from analytics_export import coverage  # noqa: PLC0415 - see above

    app = call.app()
    found = app.coverage(coverage.parse(call.query, schedule_time=call.schedule_time, clock=Clock().now))
    if not call.wants_page:
        return to_question(found.to_json(), found.problem)
    from analytics_export.coverage_page import page  # noqa: PLC0415 - see above

    settings = app.settings
    return page(found, analytics_id=settings.analytics_id, bucket=settings.bucket, host=call.request.host)


def _check(call: _Call) -> Answer:
    from analytics_export import check, trial  # noqa: PLC0415 - see above

    try:
        found = trial.checks(call.app())
    except Misconfigured as error:
        found = check.without_settings(error)
    if not call.wants_page:
        return to_question(check.to_json(found), check.problem(found))
    from analytics_export.check_page import page  # noqa: PLC0415 - see above

    return page(found)


def _openapi(_call: _Call) -> Answer:
    from analytics_export.openapi import document  # noqa: PLC0415 - see above

    return to_question(document())


def _questions(handler: Callable[[_Call], Answer]) -> dict[str, Callable[[_Call], Answer]]:
    def compressed_answer(call: _Call) -> Answer:
        return compressed(handler(call), accepts_gzip=call.request.accept_encodings.quality("gzip") > 0)

    return {"GET": compressed_answer, "HEAD": compressed_answer}


ROUTES = {
    "/": {**_questions(_coverage), "POST": _export},
    "/check": _questions(_check),
    "/openapi.json": _questions(_openapi),
}


@functools.cache
def _app() -> "App":
    """Check the settings and open the clients; a failure is not kept."""
    from analytics_export.app import App  # noqa: PLC0415 - loads the client libraries

    return App.from_env()
