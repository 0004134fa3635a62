"""All requests and answers of the function, as OpenAPI 3.1; limits, fields and types come from the code. No I/O.

Source: https://spec.openapis.org/oas/v3.1.1
"""

from collections.abc import Iterator

from analytics_export import check, coverage, export_request
from analytics_export.answers import TRY_THIS_AGAIN
from analytics_export.errors import (
    Defect,
    ExportError,
    InvalidRequest,
    Misconfigured,
    TryAgainLater,
)
from analytics_export.periods import Aggregation, Frequency
from analytics_export.report import Status

Json = dict[str, object]

VERSION = "1.1.0"
"""Of the newest entry in CHANGELOG.md."""

DATE: Json = {"type": "string", "format": "date"}
COUNT: Json = {"type": "integer", "minimum": 0}
TEXT: Json = {"type": "string"}
SWITCH: Json = {"type": "boolean", "default": False}

AGGREGATION: Json = {"type": "string", "enum": list(Aggregation)}
FREQUENCY: Json = {"type": "string", "enum": list(Frequency)}

EXPORT_FIELDS: dict[str, tuple[Json, str]] = {
    "aggregation": (AGGREGATION, "What the analytics describe. Required."),
    "frequency": (FREQUENCY, "How long a period is. Required."),
    "date": (DATE, "The period that holds this day."),
    "from": (DATE, "With `to`: every finished period that holds a day of the span."),
    "to": (DATE, "See `from`."),
    "last": (
        {"type": "integer", "minimum": 1, "maximum": export_request.MAX_PLANNED_PERIODS},
        f"The last so many finished periods; without `dry_run` or `enqueue` at most {export_request.MAX_PERIODS}.",
    ),
    "refresh": (SWITCH, "Compare the periods of a span with the source although they are complete."),
    "dry_run": (SWITCH, "Say what would be done, and do nothing."),
    "enqueue": (SWITCH, "Hand each period that is not complete to Cloud Tasks and answer at once."),
}
"""Of a POST, in the body or the query, each once: none of `date`, `from` and `last` means the last finished period."""

COVERAGE_FIELDS: dict[str, tuple[Json, str]] = {
    "aggregation": (AGGREGATION, "This one only."),
    "frequency": (FREQUENCY, "This one only."),
    "from": (DATE, "Periods from the one that holds this day; else from the first complete one."),
    "to": (DATE, "Periods up to the one that holds this day, if they are due."),
    "require_complete": (SWITCH, "Answer 503 as long as a period that is due is missing."),
}
"""Of a GET; all may be left out."""


def document() -> Json:
    """Return the whole document, as JSON has it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Usercentrics analytics exports",
            "version": VERSION,
            "description": "Copies Usercentrics' analytics exports into Cloud Storage, and says what is there.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"identityToken": []}],
        "paths": {
            "/": {
                **_question("coverage", "What is there and what is missing", "Coverage", COVERAGE_FIELDS, (400,)),
                "post": _post(),
            },
            "/check": _question("check", "Whether the set-up is right", "Checks", {}, (502,)),
            "/openapi.json": _question("openapi", "This document", "OpenApi", {}, (), has_page=False),
        },
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "identityToken": {"type": "http", "scheme": "bearer", "description": "A Google identity token."}
            },
        },
    }


# Operations


def _post() -> Json:
    body = _object({name: {**schema, "description": text} for name, (schema, text) in EXPORT_FIELDS.items()}, [])
    return {
        "operationId": "export",
        "summary": "Export the periods asked for",
        "parameters": [*_parameters(EXPORT_FIELDS), _schedule_time()],
        "requestBody": {
            "description": "A JSON object, whatever the Content-Type says.",
            "content": {"application/json": {"schema": body}},
        },
        "responses": {
            "200": _answer("Nothing is left to do for the periods asked for; of a dry run, what would be", "Report"),
            "202": _answer("Periods are queued", "Report"),
            str(TRY_THIS_AGAIN): {
                "description": "To a call that is a task of Cloud Tasks: try this one again",
                "content": {"application/problem+json": {"schema": _ref("ReportProblem")}},
                "headers": {"Retry-After": _retry_after()},
            },
            **{str(status): _problem(status, "ReportProblem") for status in (400, 500, 502, 503)},
        },
    }


def _question(
    name: str,
    summary: str,
    schema: str,
    fields: dict[str, tuple[Json, str]],
    statuses: tuple[int, ...],
    *,
    has_page: bool = True,
) -> Json:
    """Return the operations get and head; a question that needs the settings may end in 500 and 503 too."""
    parameters = [*_parameters(fields), *([_schedule_time()] if fields else [])]
    problems = sorted({*statuses, *((500, 503) if has_page else ())})
    operations: Json = {}
    for method in ("get", "head"):
        has_body = method == "get"
        ok = _answer(summary, schema if has_body else None, has_page=has_page and has_body)
        responses: Json = {"200": ok}
        for status in problems:
            responses[str(status)] = _problem(status, f"{schema}Problem" if has_body else None, has_page=has_page)
        operations[method] = {
            "operationId": name if has_body else f"{name}Head",
            "summary": summary if has_body else f"{summary}: the headers alone",
            "parameters": parameters,
            "responses": responses,
        }
    return operations


def _parameters(fields: dict[str, tuple[Json, str]]) -> list[Json]:
    return [
        {"name": name, "in": "query", "description": text, "schema": schema} for name, (schema, text) in fields.items()
    ]


def _schedule_time() -> Json:
    return {
        "name": "X-CloudScheduler-ScheduleTime",
        "in": "header",
        "description": "What counts as now; without it, the clock.",
        "schema": {"type": "string", "format": "date-time"},
    }


def _answer(text: str, schema: str | None, *, has_page: bool = False) -> Json:
    content: Json = {} if schema is None else {"application/json": {"schema": _ref(schema)}}
    if has_page:
        content["text/html"] = {"schema": TEXT}
    return {"description": text, **({"content": content} if content else {})}


def _problem(status: int, schema: str | None, *, has_page: bool = False) -> Json:
    types = sorted({error.type for error in _errors() if error.status == status})
    answer: Json = {"description": f"A problem (RFC 9457): {', '.join(types)}"}
    if schema is not None:
        content: Json = {"application/problem+json": {"schema": _ref(schema)}}
        if has_page:
            content["text/html"] = {"schema": TEXT}
        answer["content"] = content
    if status == TryAgainLater.status:
        answer["headers"] = {"Retry-After": _retry_after()}
    return answer


def _retry_after() -> Json:
    return {"description": "Seconds to wait before calling again", "schema": COUNT}


def _errors() -> Iterator[type[ExportError]]:
    """Yield every error that an answer may name."""
    waiting = [InvalidRequest, Misconfigured, TryAgainLater, Defect, *ExportError.__subclasses__()]
    while waiting:
        error = waiting.pop()
        waiting += error.__subclasses__()
        if hasattr(error, "type"):
            yield error


# Schemas


def _schemas() -> Json:
    days: Json = {"start_date": DATE, "end_date": DATE}
    kind: Json = {"aggregation": AGGREGATION, "frequency": FREQUENCY}
    problem: Json = {
        "type": {"type": "string", "enum": sorted({error.type for error in _errors()})},
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What happened, and what to do next."},
    }
    report: Json = {
        "exports": {"type": "array", "items": _ref("Export"), "description": "Oldest first."},
        "bytes_copied": COUNT,
        "seconds": {"type": "number", "minimum": 0},
    }
    answer: Json = {
        "as_of": {"type": "string", "format": "date-time"},
        "coverage": {"type": "array", "items": _ref("ExportCoverage")},
    }
    checks: Json = {"checks": {"type": "array", "items": _ref("Check")}}
    return {
        "Report": _object(report),
        "ReportProblem": _object({**problem, **report}),
        "Export": _object(
            {
                **kind,
                **days,
                "file_prefix": TEXT,
                "status": {"type": "string", "enum": list(Status)},
                "objects": COUNT,
                "bytes": COUNT,
                "bytes_copied": COUNT,
                "columns_changed": {"type": "boolean"},
                "manifest": {"type": ["string", "null"], "description": "gs:// URI; null while there is none."},
                "error": {"oneOf": [{"type": "null"}, _object({"type": problem["type"], "detail": problem["detail"]})]},
            }
        ),
        "Coverage": _object(answer),
        "CoverageProblem": _object({**problem, **answer}, required=list(problem)),
        "ExportCoverage": _object(
            {
                **kind,
                "complete": COUNT,
                "missing": COUNT,
                "bytes": COUNT,
                "periods": {
                    "type": "array",
                    "items": {"oneOf": [_ref("CompletePeriod"), _ref("MissingPeriod")]},
                    "maxItems": coverage.MAX_PERIODS,
                    "description": "Oldest first.",
                },
            }
        ),
        "CompletePeriod": _object(
            {
                **days,
                "status": {"const": "complete"},
                "objects": COUNT,
                "bytes": COUNT,
                "completed_at": {"type": "string", "format": "date-time"},
            }
        ),
        "MissingPeriod": _object({**days, "status": {"const": "missing"}}),
        "Checks": _object(checks),
        "ChecksProblem": _object({**problem, **checks}, required=list(problem)),
        "Check": _object(
            {"name": {"type": "string", "enum": list(check.NAMES)}, "ok": {"type": "boolean"}, "detail": TEXT}
        ),
        "OpenApi": {"type": "object", "required": ["openapi", "info", "paths"]},
    }


def _object(properties: Json, required: list[str] | None = None) -> Json:
    """Return the schema of an object with these properties and no others, all required unless `required` is given."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }


def _ref(schema: str) -> Json:
    return {"$ref": f"#/components/schemas/{schema}"}
