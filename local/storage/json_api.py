"""The JSON API of Cloud Storage: its routes and its errors. Unsupported requests are refused."""

from http import HTTPStatus

from local.http.exchange import Exchange
from local.http.response import Outcome, Refused, Response
from local.http.routes import Route, dispatch
from local.storage import object_api, upload_api
from local.storage.fields import WrongFieldsError
from local.storage.objects import NoSuchBucketError, PreconditionFailedError
from local.storage.resources import error
from local.storage.state import State
from local.storage.uploads import ChecksumError, WrongRangeError

BUCKET = "/storage/v1/b/{bucket}"
OBJECT = "/storage/v1/b/{bucket}/o/{name}"
UPLOAD = "/upload/storage/v1/b/{bucket}/o"
ROUTES = (
    Route("POST", "/storage/v1/b", object_api.insert_bucket),
    Route("GET", BUCKET, object_api.get_bucket),
    Route("GET", f"{BUCKET}/iam/testPermissions", object_api.test_permissions),
    Route("GET", f"{BUCKET}/o", object_api.list_objects),
    Route("GET", f"{OBJECT}?alt=media", object_api.read_object),
    Route("GET", OBJECT, object_api.get_object),
    Route("GET", f"/download{OBJECT}", object_api.read_object),
    Route("DELETE", OBJECT, object_api.delete_object),
    Route("PUT", f"{UPLOAD}?upload_id", upload_api.continue_session),
    Route("DELETE", f"{UPLOAD}?upload_id", upload_api.cancel_session),
    Route("POST", f"{UPLOAD}?upload_id", upload_api.refuse_upload),
    Route("POST", f"{UPLOAD}?uploadType=resumable", upload_api.start_session),
    Route("POST", f"{UPLOAD}?uploadType=multipart", upload_api.insert_multipart),
    Route("POST", f"{UPLOAD}?uploadType=media", upload_api.insert_media),
    Route("POST", UPLOAD, upload_api.refuse_upload),
)
API_PREFIXES = ("/storage/v1/b", "/upload/storage/v1/b", "/download/storage/v1/b")
"""Other paths do not exist in Cloud Storage either; such a path without a route is missing only in this stand-in."""


def is_json(path: str) -> bool:
    """Whether the path belongs to the JSON API; the others belong to the XML API."""
    return path.startswith(("/storage/", "/upload/", "/download/"))


def answer(state: State, exchange: Exchange) -> Outcome:
    """Answer a request by its route; errors in the JSON API's form."""
    try:
        return dispatch(ROUTES, state, exchange) or _no_route(exchange.head.method, exchange.head.path)
    except Refused as refused:
        return error(refused.status, refused.text)
    except (WrongFieldsError, WrongRangeError, ChecksumError) as exc:
        return error(HTTPStatus.BAD_REQUEST, str(exc))
    except NoSuchBucketError:
        return error(HTTPStatus.NOT_FOUND, "The specified bucket does not exist.")
    except PreconditionFailedError:
        text = "At least one of the pre-conditions you specified did not hold."
        return error(HTTPStatus.PRECONDITION_FAILED, text)


def _no_route(method: str, path: str) -> Response:
    if not path.startswith(API_PREFIXES):
        return error(HTTPStatus.NOT_FOUND, "Not Found")
    return error(HTTPStatus.NOT_IMPLEMENTED, f"the stand-in does not support {method} {path}")
