"""Which links are followed, what their files are called, and what is never shown of them."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_export.errors import Conflict, LinkRefused
from analytics_export.source.links import Listing, SignedLink

ORIGINS = frozenset({"https://storage.googleapis.com", "http://127.0.0.1:8080"})
HOST = "https://storage.googleapis.com"


@pytest.mark.parametrize(
    ("url", "file_name"),
    [
        pytest.param(f"{HOST}/bucket/id/file-1?auth=token", "file-1", id="as in the documentation"),
        pytest.param(f"{HOST}/bucket/file.csv", "file.csv", id="without a query"),
        pytest.param(f"{HOST}:443/bucket/file.csv?a=b", "file.csv", id="with the default port"),
        pytest.param("HTTPS://STORAGE.googleapis.com/bucket/file.csv", "file.csv", id="in capitals"),
        pytest.param("http://127.0.0.1:8080/b/file.csv", "file.csv", id="another origin, with its port"),
        pytest.param(f"{HOST}/b/a%20b%2Bc.csv?x=1", "a b+c.csv", id="percent-encoded"),
        pytest.param(f"{HOST}/b/a+b.csv", "a+b.csv", id="a plus is a plus"),
        pytest.param(f"{HOST}/b/%C3%BC.csv", "ü.csv", id="not ASCII"),
        pytest.param(f"{HOST}/b/a%3Fb%23c%25.csv", "a?b#c%.csv", id="encoded marks"),
        pytest.param(f"{HOST}/b/...csv", "...csv", id="dots and a name"),
        pytest.param(f"{HOST}/b/_file.csv?u=https://elsewhere.example.org/x.csv", "_file.csv", id="a query with a URL"),
    ],
)
def test_a_link_to_a_known_origin_is_taken_and_named_by_its_last_segment(url: str, file_name: str) -> None:
    link = SignedLink.checked(url, origins=ORIGINS)
    assert (link.url, link.file_name) == (url, file_name)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        pytest.param("https://elsewhere.example.org/b/f.csv", "https://elsewhere.example.org", id="another host"),
        pytest.param("http://storage.googleapis.com/b/f.csv", "http://storage.googleapis.com", id="another scheme"),
        pytest.param(f"{HOST}:8443/b/f.csv", ":8443", id="another port"),
        pytest.param(f"{HOST}:80/b/f.csv", ":80", id="the other scheme's port"),
        pytest.param("http://127.0.0.1/b/f.csv", "http://127.0.0.1", id="without the origin's port"),
        pytest.param(f"{HOST}./b/f.csv", "storage.googleapis.com.", id="a dot at the end of the host"),
        pytest.param(f"{HOST}.example.org/b/f.csv", "example.org", id="the host as a beginning"),
        pytest.param("https://x.storage.googleapis.com/b/f.csv", "x.storage", id="the host as an end"),
        pytest.param("https://user:pw@storage.googleapis.com/b/f.csv", "...@storage", id="user info"),
        pytest.param("https://@storage.googleapis.com/b/f.csv", "...@storage", id="empty user info"),
        pytest.param("https://storage.googleapis.com@elsewhere.example.org/f", "...@elsewhere", id="host as user"),
        pytest.param("https:///b/f.csv", "https://", id="no host"),
        pytest.param("//storage.googleapis.com/b/f.csv", "well-formed", id="no scheme"),
        pytest.param("ftp://storage.googleapis.com/b/f.csv", "well-formed", id="ftp"),
        pytest.param("file:///etc/passwd", "well-formed", id="file"),
        pytest.param(HOST, "well-formed", id="no path"),
        pytest.param(f"{HOST}/b/f.csv#x", "well-formed", id="a fragment"),
        pytest.param(f"{HOST}/b/f.csv?a=b#x", "well-formed", id="a fragment after a query"),
        pytest.param(f" {HOST}/b/f.csv", "well-formed", id="a space before it"),
        pytest.param(f"{HOST}/b/f g.csv", "well-formed", id="a space in it"),
        pytest.param(f"{HOST}/b/f.csv\n", "well-formed", id="a line end"),
        pytest.param(f"{HOST}/b/f.csv\r\nX: y", "well-formed", id="a header in it"),
        pytest.param(f"{HOST}/b/100%.csv", "well-formed", id="a percent sign alone"),
        pytest.param(f"{HOST}/b/f.csv?a=%zz", "well-formed", id="a percent sign before no number"),
        pytest.param(f"{HOST}\\@elsewhere.example.org/f.csv", "well-formed", id="a backslash"),
        pytest.param("", "well-formed", id="nothing"),
        pytest.param(f"{HOST}/b/", "cannot be stored", id="no name"),
        pytest.param(f"{HOST}/b/..", "dot segments", id="the parent folder"),
        pytest.param(f"{HOST}/b/.", "dot segments", id="this folder"),
        pytest.param(f"{HOST}/b/%2E%2E", "dot segments", id="the parent folder, encoded"),
        pytest.param(f"{HOST}/b/a%2Fb.csv", "cannot be stored", id="an encoded slash"),
        pytest.param(f"{HOST}/b/a%5Cb.csv", "cannot be stored", id="an encoded backslash"),
        pytest.param(f"{HOST}/b/a%0Ab.csv", "cannot be stored", id="a line end in the name"),
        pytest.param(f"{HOST}/b/a%00b.csv", "cannot be stored", id="a zero byte in the name"),
        pytest.param(f"{HOST}/b/a%7Fb.csv", "cannot be stored", id="delete in the name"),
        pytest.param(f"{HOST}/b/a%C2%85b.csv", "cannot be stored", id="a C1 control in the name"),
        pytest.param(f"{HOST}/b/a%E2%80%A8b.csv", "cannot be stored", id="a line separator in the name"),
        pytest.param(f"{HOST}/b/%FF.csv", "not UTF-8", id="not UTF-8"),
    ],
)
def test_any_other_link_is_refused_without_its_query_or_user(url: str, says: str) -> None:
    with pytest.raises(LinkRefused) as refused:
        SignedLink.checked(url, origins=ORIGINS)
    assert says in refused.value.detail
    assert (refused.value.status, refused.value.type) == (502, "link-refused")
    assert not any(secret in refused.value.detail for secret in ("a=b", "pw", "user"))


def test_a_link_is_shown_without_its_query() -> None:
    link = SignedLink.checked(f"{HOST}/bucket/file.csv?X-Goog-Signature=abc", origins=ORIGINS)
    assert str(link) == f"{HOST}/bucket/file.csv"
    assert "abc" not in repr(link)
    assert "Signature" not in f"{link} {link!r}"


def test_a_question_mark_within_the_query_shows_nothing_of_it() -> None:
    link = SignedLink.checked(f"{HOST}/bucket/file.csv?X-Goog-Signature=abc?def", origins=ORIGINS)
    assert str(link) == f"{HOST}/bucket/file.csv"


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1, max_size=60).filter(
    lambda name: name not in {".", ".."} and "/" not in name and "\\" not in name
)


@given(names)
def test_any_ordinary_file_name_survives_the_link(name: str) -> None:
    assert SignedLink.checked(f"{HOST}/b/{quote(name, safe='')}?x=1", origins=ORIGINS).file_name == name


@given(st.text(max_size=40).map(lambda text: f"{HOST}/{text}") | st.text(max_size=60))
def test_whatever_stands_in_a_listing_is_taken_or_refused(url: str) -> None:
    try:
        link = SignedLink.checked(url, origins=ORIGINS)
    except LinkRefused:
        return
    assert link.file_name
    assert "/" not in link.file_name


def test_a_listing_keeps_the_order_of_the_service() -> None:
    links = [SignedLink.checked(f"{HOST}/b/{name}", origins=ORIGINS) for name in ("b.csv", "a.csv", "c.csv")]
    assert Listing(links, lambda _: []).file_names == ["b.csv", "a.csv", "c.csv"]


def listed(*names: str, signature: int) -> list[SignedLink]:
    return [SignedLink.checked(f"{HOST}/b/{name}?signature={signature}", origins=ORIGINS) for name in names]


def test_one_renewal_serves_all_files_that_find_their_link_expired() -> None:
    renewals = []

    def renew(stale: SignedLink) -> list[SignedLink]:
        renewals.append(stale.file_name)
        return listed("b.csv", "a.csv", "c.csv", signature=2)

    listing = Listing(listed("a.csv", "b.csv", signature=1), renew)
    stale = {name: listing.link(name) for name in listing.file_names}
    assert [listing.renewed(stale[name]).url for name in ("a.csv", "b.csv")] == [
        f"{HOST}/b/a.csv?signature=2",
        f"{HOST}/b/b.csv?signature=2",
    ]
    assert renewals == ["a.csv"]
    assert listing.link("a.csv").url == f"{HOST}/b/a.csv?signature=2"
    assert listing.file_names == ["a.csv", "b.csv"], "a file that was not listed at first is for the next comparison"
    listing.renewed(listing.link("b.csv"))
    assert renewals == ["a.csv", "b.csv"], "a renewed link may expire too"


def test_a_file_that_is_listed_no_more_needs_a_new_comparison() -> None:
    listing = Listing(listed("a.csv", "b.csv", signature=1), lambda _: listed("b.csv", signature=2))
    with pytest.raises(Conflict, match=r"a\.csv"):
        listing.renewed(listing.link("a.csv"))
    assert listing.link("b.csv").url == f"{HOST}/b/b.csv?signature=1"


def test_a_listing_that_names_a_file_twice_is_refused() -> None:
    links = [SignedLink.checked(f"{HOST}/{path}?n=1", origins=ORIGINS) for path in ("x/a.csv", "y/%61.csv")]
    with pytest.raises(LinkRefused, match=r"a\.csv.*more than once"):
        Listing(links, lambda _: [])
