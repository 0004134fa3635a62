"""The doorway: one HTTP request in, the exports it asks for, one report out.

Deployed as a Cloud Run function with the entry point `export_analytics`. Importing this module reads no environment,
opens no client and loads no client library: those come with the first request that needs them.
"""

import functools
import json
import math
import os
import threading
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analytics_export import export_request
from analytics_export.config import Settings
from analytics_export.errors import ExportError, InvalidRequest, TryAgainLater, worst
from analytics_export.logs import Log, trace_fields
from analytics_export.retries import Clock, Deadline

if TYPE_CHECKING:
    import flask
    import requests
    from google.cloud.storage import Client

    from analytics_export.period_sync import Exporter
    from analytics_export.report import ExportResult
    from analytics_export.source.api_key import ApiKey

Answer = tuple[str, int, dict[str, str]]

_first_request = threading.Lock()


def export_analytics(request: "flask.Request") -> Answer:
    """Export the periods asked for and say how that went.

    Answers 200 with `exports`, or a problem document (RFC 9457) with the same; see the README for the statuses.
    """
    began = time.monotonic()
    results: list[ExportResult] = []
    log = Log()
    try:
        if request.method != "POST":
            return _problem(_METHOD, results, began, status=405, headers={"Allow": "POST"})
        with _first_request:
            collaborators = _collaborators()
        log = log.bind(
            **trace_fields(
                traceparent=request.headers.get("traceparent", ""),
                cloud_trace_context=request.headers.get("X-Cloud-Trace-Context", ""),
                project=collaborators.settings.project,
            )
        )
        clock = Clock()
        asked = export_request.parse(
            body=request.stream.read(export_request.MAX_BODY_BYTES + 1),  # one more tells that it is too long
            query=request.args.to_dict(flat=False),
            schedule_time=request.headers.get("X-CloudScheduler-ScheduleTime"),
            clock=clock.now,
        )
        exporter = collaborators.exporter(Deadline(collaborators.settings.deadline_s, clock), log)
        results.extend(exporter.run(asked))
    except ExportError as error:
        say = log.warning if isinstance(error, InvalidRequest) else log.error  # the caller sees it; an operator must
        say("request_refused", error_type=error.type, detail=error.detail)
        return _problem(error, results, began)
    except Exception as error:  # noqa: BLE001 - the last line of defence: a defect is told, without the error's own text
        log.error("defect", error=type(error).__name__, stack=_stack(error))  # noqa: TRY400 - its text may hold a link
        return _problem(_Defect("The function has a defect; its log line `defect` says where."), results, began)
    errors = [result.error for result in results if result.error is not None]
    if errors:
        return _problem(worst(errors), results, began)
    return json.dumps(_report(results, began)), 200, {"Content-Type": "application/json"}


@dataclass(frozen=True)
class _Collaborators:
    """What a warm instance keeps: settings, the key, open connections."""

    settings: Settings
    api_key: "ApiKey"
    storage: "Client"
    session: "requests.Session"

    def exporter(self, deadline: Deadline, log: Log) -> "Exporter":
        from analytics_export.bucket.bucket import Landing  # noqa: PLC0415
        from analytics_export.period_sync import Exporter  # noqa: PLC0415 - loads the client libraries
        from analytics_export.source.download import Source  # noqa: PLC0415
        from analytics_export.source.export_service import ExportService  # noqa: PLC0415

        settings = self.settings
        return Exporter(
            service=ExportService(settings, self.api_key, self.session, deadline),
            source=Source(self.session, deadline, settings.stall_s),
            landing=Landing(
                self.storage,
                self.session,
                bucket=settings.bucket,
                prefix=settings.object_prefix,
                stall_s=settings.stall_s,
                deadline=deadline,
            ),
            deadline=deadline,
            analytics_id=settings.analytics_id,
            parallel_transfers=settings.parallel_transfers,
            log=log,
        )


@functools.cache
def _collaborators() -> _Collaborators:
    """Check the settings and open the clients; a failure is not kept."""
    settings = Settings.from_env(os.environ)
    from analytics_export.bucket.bucket import connect  # noqa: PLC0415
    from analytics_export.http import session  # noqa: PLC0415
    from analytics_export.source.api_key import ApiKey  # noqa: PLC0415 - loads the client libraries

    return _Collaborators(
        settings,
        ApiKey(settings.api_key_secret_version, emulator=settings.secret_manager_emulator),
        connect(connections=settings.parallel_transfers),
        session(connections=settings.parallel_transfers),
    )


class _Defect(ExportError):
    type = "internal-error"
    title = "The function has a defect"
    status = 500


_METHOD = InvalidRequest("Expected POST with a JSON object, or with the fields as query parameters.")


def _stack(error: BaseException) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]


def _problem(
    error: ExportError,
    results: "list[ExportResult]",
    began: float,
    *,
    status: int | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    status = status or error.status
    problem = {"type": error.type, "title": error.title, "status": status, "detail": error.detail}
    waits = [result.error.retry_after_s for result in results if isinstance(result.error, TryAgainLater)]
    if isinstance(error, TryAgainLater):
        headers = {"Retry-After": str(math.ceil(min([*waits, error.retry_after_s])))}
    return (
        json.dumps(problem | _report(results, began)),
        status,
        {"Content-Type": "application/problem+json"} | (headers or {}),
    )


def _report(results: "list[ExportResult]", began: float) -> dict[str, object]:
    return {
        "exports": [result.to_json() for result in results],
        "bytes_copied": sum(result.bytes_copied for result in results),
        "seconds": round(time.monotonic() - began, 3),
    }
