"""What the JSON API's handlers share: parameters, the error form, resources, partial answers."""

from http import HTTPStatus
from typing import overload
from urllib.parse import quote

from local.http.request_head import RequestHead
from local.http.response import Refused, Response, json_response
from local.storage.fields import select
from local.storage.objects import ObjectInfo, Precondition

SUPPORTED_PRECONDITIONS = {"ifGenerationMatch", "ifGenerationNotMatch"}
"""The stand-in refuses the others."""
_REASONS = {
    400: "invalid",
    401: "authError",
    403: "forbidden",
    404: "notFound",
    412: "conditionNotMet",
    429: "rateLimitExceeded",
    503: "backendError",
}


def error(status: int, message: str) -> Response:
    """Make an error answer in Google's JSON form."""
    reason = _REASONS.get(status, "backendError" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid")
    errors = [{"message": message, "domain": "global", "reason": reason}]
    return json_response({"error": {"code": status, "message": message, "errors": errors}}, status)


def precondition(head: RequestHead) -> Precondition:
    """Return the request's precondition. Raises Refused for an unsupported one."""
    unsupported = {name for name in head.query if name.startswith("if")} - SUPPORTED_PRECONDITIONS
    if unsupported:
        raise Refused(HTTPStatus.NOT_IMPLEMENTED, f"the stand-in does not support {sorted(unsupported)}")
    return Precondition(
        generation=number(head, "ifGenerationMatch"), generation_not=number(head, "ifGenerationNotMatch")
    )


@overload
def number(head: RequestHead, parameter: str) -> int | None: ...
@overload
def number(head: RequestHead, parameter: str, *, default: int) -> int: ...
def number(head: RequestHead, parameter: str, *, default: int | None = None) -> int | None:
    """Return a query parameter that is a whole number. Raises Refused for any other value."""
    text = head.query.get(parameter)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()):
        raise Refused(HTTPStatus.BAD_REQUEST, f"Invalid value for {parameter}: {text}")
    return int(text)


def answer_with(resource: dict[str, object], head: RequestHead) -> Response:
    """Answer with the fields of a resource that the request's `fields` names. Raises WrongFieldsError."""
    return json_response(select(resource, head.query.get("fields")))


def bucket_resource(bucket: str) -> dict[str, object]:
    """A bucket as the JSON API shows it."""
    return {
        "kind": "storage#bucket",
        "id": bucket,
        "name": bucket,
        "location": "EU",
        "storageClass": "STANDARD",
        "metageneration": "1",
    }


def object_resource(url: str, info: ObjectInfo) -> dict[str, object]:
    """An object as the JSON API shows it: numbers as text, times in RFC 3339."""
    path = f"/storage/v1/b/{quote(info.bucket, safe='')}/o/{quote(info.name, safe='')}"
    time = info.updated.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    resource: dict[str, object | None] = {
        "kind": "storage#object",
        "id": f"{info.bucket}/{info.name}/{info.generation}",
        "selfLink": url + path,
        "mediaLink": f"{url}/download{path}?generation={info.generation}&alt=media",
        "name": info.name,
        "bucket": info.bucket,
        "generation": str(info.generation),
        "metageneration": "1",
        "contentType": info.content_type,
        "contentEncoding": info.content_encoding,
        "storageClass": "STANDARD",
        "size": str(info.size),
        "crc32c": info.crc32c,
        "md5Hash": info.md5,
        "etag": f"{info.generation:x}",
        "timeCreated": time,
        "updated": time,
        "metadata": info.metadata or None,
    }
    return {key: value for key, value in resource.items() if value is not None}
