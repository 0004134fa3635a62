"""Signed links, `/BUCKET/OBJECT?X-Goog-...`, answered as the XML API does."""

from http import HTTPStatus
from xml.sax.saxutils import escape

from local.http.exchange import Exchange
from local.http.request_head import RequestHead
from local.http.response import Outcome, Response
from local.http.routes import ANY, Route, dispatch
from local.storage.delivery import deliver
from local.storage.links import SIGNATURE
from local.storage.objects import NoSuchBucketError
from local.storage.state import State, begin

_CODES = {400: "InvalidArgument", 403: "AccessDenied", 404: "NoSuchKey", 416: "InvalidRange"}


def error(status: int, message: str, code: str = "") -> Response:
    """Make an error answer in the XML API's form."""
    code = code or _CODES.get(status) or HTTPStatus(status).phrase.title().replace(" ", "")
    text = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    body = f"<?xml version='1.0' encoding='UTF-8'?>{text}".encode()
    return Response(status, [("Content-Type", "application/xml; charset=UTF-8")], body)


def follow_link(state: State, exchange: Exchange, bucket: str, name: str) -> Outcome:
    """Return the object's bytes if the link was signed for a GET and has not expired."""
    head = exchange.head
    operation = "link.head" if head.method == "HEAD" else "link.get"
    if injected := begin(state, exchange, operation, bucket, name):
        return injected
    if refusal := _refusal(state, head):
        return refusal
    try:
        found = state.store.open(bucket, name)
    except NoSuchBucketError:
        return error(404, "The specified bucket does not exist.", "NoSuchBucket")
    if found is None:
        return error(404, "The specified key does not exist.")
    return deliver(exchange, *found, error)


def _refusal(state: State, head: RequestHead) -> Response | None:
    """Return the error answer to an invalid link; None for a valid one."""
    if SIGNATURE not in head.query:
        return error(403, "Anonymous caller does not have storage.objects.get access.")
    if head.method != "GET" or not state.links.is_genuine(head.path, head.query):
        return error(403, "Access denied: the signature does not match the request.", "SignatureDoesNotMatch")
    if state.links.is_expired(head.query):
        return error(400, "The provided token has expired.", "ExpiredToken")
    return None


ROUTES = (
    Route(ANY, "/{bucket}/{name...}", follow_link),
    Route(ANY, "/{bucket}", lambda state, exchange, bucket: follow_link(state, exchange, bucket, "")),
)


def answer(state: State, exchange: Exchange) -> Outcome:
    """Answer a request by its route."""
    return dispatch(ROUTES, state, exchange) or error(HTTPStatus.NOT_FOUND, "The specified key does not exist.")
