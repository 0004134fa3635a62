"""What every request of the JSON API has in common: parameters, error form, resources, partial answers."""

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, NoReturn, overload
from urllib.parse import quote

from local.fields import WrongFieldsError, select
from local.objects import ObjectInfo, Precondition
from local.wire import Conversation

if TYPE_CHECKING:
    from local.storage import Storage

CHECKABLE = {"ifGenerationMatch", "ifGenerationNotMatch"}
"""Preconditions that the stand-in knows; it refuses the others."""
_REASONS = {
    400: "invalid",
    401: "authError",
    403: "forbidden",
    404: "notFound",
    412: "conditionNotMet",
    429: "rateLimitExceeded",
    503: "backendError",
}


class JsonConversation(Conversation):
    """A storage conversation's words for one bucket and, mostly, one object."""

    server: "Storage"
    bucket: str
    name: str

    def json_error_body(self, status: int, message: str) -> tuple[str, bytes]:
        """Google's JSON error form."""
        reason = _REASONS.get(status, "backendError" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid")
        errors = [{"message": message, "domain": "global", "reason": reason}]
        body = {"error": {"code": status, "message": message, "errors": errors}}
        return "application/json; charset=UTF-8", json.dumps(body).encode()

    def precondition(self) -> Precondition:
        """What the request demands of the object that is there."""
        unknown = {name for name in self.query if name.startswith("if")} - CHECKABLE
        if unknown:
            self.answer_error(HTTPStatus.NOT_IMPLEMENTED, f"the stand-in does not know {sorted(unknown)}")
        return Precondition(
            generation=self.number("ifGenerationMatch"), generation_not=self.number("ifGenerationNotMatch")
        )

    @overload
    def number(self, parameter: str) -> int | None: ...
    @overload
    def number(self, parameter: str, *, default: int) -> int: ...
    def number(self, parameter: str, *, default: int | None = None) -> int | None:
        """A query parameter that is a whole number; answers 400 for anything else."""
        text = self.query.get(parameter)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit()):
            self.answer_error(HTTPStatus.BAD_REQUEST, f"Invalid value for {parameter}: {text}")
        return int(text)

    def json_body(self) -> dict[str, object]:
        """The request's JSON object; empty without a body."""
        body = self.read_small_body()
        return self.parse_json(body) if body.strip() else {}

    def parse_json(self, body: bytes) -> dict[str, object]:
        """Parse a JSON object; answers 400 for anything else."""
        try:
            value = json.loads(body)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            self.answer_error(HTTPStatus.BAD_REQUEST, "Parse Error")
        return value

    def answer_resource(self, resource: dict[str, object]) -> NoReturn:
        """Answer with what `fields` keeps of a resource."""
        try:
            answer = select(resource, self.query.get("fields"))
        except WrongFieldsError as exc:
            self.answer_error(HTTPStatus.BAD_REQUEST, str(exc))
        self.answer_json(answer)


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
