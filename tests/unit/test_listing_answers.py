"""What the export service's answers mean, v2 and v1, without HTTP."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_export.errors import ExportServiceError, UpstreamUnavailable
from analytics_export.source.export_service import MAX_FILES, error_for, v1_url, v2_urls

LINK = "https://storage.googleapis.com/bucket/file-1?auth=token"


@pytest.mark.parametrize(
    ("body", "urls"),
    [
        pytest.param({"downloadUrls": [LINK, "b"]}, [LINK, "b"], id="two"),
        pytest.param({"downloadUrls": []}, [], id="none"),
        pytest.param({"downloadUrls": [LINK], "more": 1}, [LINK], id="with another field"),
    ],
)
def test_a_v2_answer_gives_its_links_in_order(body: object, urls: list[str]) -> None:
    assert v2_urls(json.dumps(body).encode()) == urls


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b'"link"',
        b"{}",
        b'{"downloadUrls": null}',
        b'{"downloadUrls": "link"}',
        b'{"downloadUrls": {"0": "link"}}',
        b'{"downloadUrls": [null]}',
        b'{"downloadUrls": [["link"]]}',
        b'{"downloadUrls": [1]}',
        b'{"downloadurls": []}',
        b"[" * 100_000,
        b"\xff",
        b'{"downloadUrls": ["\xff"]}',
        b"7",
    ],
)
def test_a_v2_answer_of_another_form_is_refused_without_repeating_it(body: bytes) -> None:
    with pytest.raises(ExportServiceError, match=r"expected \{\"downloadUrls\": \[links\]\}") as refused:
        v2_urls(body)
    assert (refused.value.status, refused.value.type) == (502, "export-service-error")
    assert "<html>" not in refused.value.detail


def test_a_listing_of_more_files_than_the_limit_is_refused() -> None:
    most = [LINK] * MAX_FILES
    assert v2_urls(json.dumps({"downloadUrls": most}).encode()) == most
    with pytest.raises(ExportServiceError, match=f"names {MAX_FILES + 1} files"):
        v2_urls(json.dumps({"downloadUrls": [*most, LINK]}).encode())


@pytest.mark.parametrize("bracket", ["[]", "{}"])
def test_a_listing_with_too_many_brackets_is_refused_before_parsing(bracket: str) -> None:
    """Parsed, it could take a hundred times its size in memory."""
    body = json.dumps({"downloadUrls": [LINK], "more": json.loads(f"[{','.join([bracket] * MAX_FILES)}]")})
    with pytest.raises(ExportServiceError, match="cannot be understood"):
        v2_urls(body.encode())


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(json.dumps({"downloadUrl": LINK}), id="an object, downloadUrl"),
        pytest.param(json.dumps({"url": LINK}), id="an object, url"),
        pytest.param(json.dumps({"downloadUrls": [LINK]}), id="an object, a list of one"),
        pytest.param(json.dumps({"urls": [LINK]}), id="an object, a list of one named urls"),
        pytest.param(json.dumps({"downloadUrl": LINK, "validFor": "15m"}), id="an object with another field"),
        pytest.param(json.dumps([LINK]), id="a list of one"),
        pytest.param(json.dumps(LINK), id="a JSON string"),
        pytest.param(LINK, id="plain text"),
        pytest.param(f"{LINK}\n", id="plain text and a newline"),
        pytest.param(f"  {LINK}  ", id="plain text and spaces"),
    ],
)
def test_a_v1_answer_gives_its_one_link_in_any_form(body: str) -> None:
    assert v1_url(body.encode()) == LINK


@pytest.mark.parametrize("body", ["[]", '{"downloadUrls": []}'])
def test_a_v1_answer_with_an_empty_list_means_that_there_is_no_such_file(body: str) -> None:
    assert v1_url(body.encode()) is None


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("", id="nothing"),
        pytest.param("{}", id="an empty object"),
        pytest.param(json.dumps([LINK, LINK]), id="two links"),
        pytest.param(json.dumps({"downloadUrls": [LINK, LINK]}), id="two links in an object"),
        pytest.param(json.dumps({"downloadUrl": None}), id="null"),
        pytest.param(json.dumps({"downloadUrl": 1}), id="a number"),
        pytest.param(json.dumps({"message": LINK}), id="a link under another name"),
        pytest.param("not a link", id="text"),
        pytest.param(f"Your link: {LINK}", id="text with a link"),
        pytest.param(f"{LINK} {LINK}", id="text with two links"),
        pytest.param(f'"{LINK} x"', id="a string with more than a link"),
        pytest.param("<html>", id="HTML"),
        pytest.param("ftp://example.org/x", id="another scheme"),
        pytest.param("null", id="a JSON null"),
        pytest.param("17", id="a JSON number"),
    ],
)
def test_a_v1_answer_of_another_form_is_refused_without_repeating_it(body: str) -> None:
    with pytest.raises(ExportServiceError, match="expected one link") as refused:
        v1_url(body.encode())
    assert "auth=token" not in refused.value.detail


@given(st.binary(max_size=80))
def test_any_listing_is_parsed_or_refused(body: bytes) -> None:
    for understand in (v1_url, v2_urls):
        try:
            understand(body)
        except ExportServiceError as refused:
            assert len(refused.detail) < 400  # noqa: PT017 - either is right


@pytest.mark.parametrize(
    ("status", "slug", "http_status"),
    [
        (401, "export-service-refused", 502),
        (403, "export-service-refused", 502),
        (400, "export-service-error", 502),
        (402, "export-service-error", 502),
        (405, "export-service-error", 502),
        (410, "export-service-error", 502),
        (418, "export-service-error", 502),
        (204, "export-service-error", 502),
        (302, "export-service-error", 502),
        (429, "upstream-unavailable", 503),
        (500, "upstream-unavailable", 503),
        (502, "upstream-unavailable", 503),
        (503, "upstream-unavailable", 503),
        (504, "upstream-unavailable", 503),
        (599, "upstream-unavailable", 503),
    ],
)
def test_each_status_of_the_export_service_means_one_error(status: int, slug: str, http_status: int) -> None:
    error = error_for(status, None)
    assert (error.type, error.status) == (slug, http_status)
    assert slug == "export-service-refused" or str(status) in error.detail


def test_the_retry_after_of_the_export_service_is_kept() -> None:
    error = error_for(429, 900.0)
    assert isinstance(error, UpstreamUnavailable)
    assert (error.asked_to_wait_s, error.retry_after_s) == (900.0, 900.0)
