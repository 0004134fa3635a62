"""Which links are followed, what their files are called, and what is never shown of them."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_export.errors import Conflict, LinkRefused
from analytics_export.source.links import Listing, SignedLink
from tests.support.hostile_links import HOSTILE_LINKS
from tests.support.odd_names import ODD_NAMES

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
def test_a_link_to_a_known_origin_is_accepted_and_named_by_its_last_segment(url: str, file_name: str) -> None:
    link = SignedLink.checked(url, origins=ORIGINS)
    assert (link.url, link.file_name) == (url, file_name)


ROWS = {f"{kind}: {row}": values for kind, rows in HOSTILE_LINKS.items() for row, values in rows.items()}


@pytest.mark.parametrize("origin", sorted(ORIGINS))
@pytest.mark.parametrize(("link", "says"), ROWS.values(), ids=ROWS)
def test_any_other_link_is_refused_without_its_query_or_user(origin: str, link: str, says: str) -> None:
    with pytest.raises(LinkRefused) as refused:
        SignedLink.checked(link.replace("{origin}", origin), origins=ORIGINS)
    assert says in refused.value.detail
    assert (refused.value.status, refused.value.type) == (502, "link-refused")
    assert not any(secret in refused.value.detail for secret in ("a=b", "abc", "pw", "user"))


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_odd_file_name_is_kept_exactly(name: str) -> None:
    assert SignedLink.checked(f"{HOST}/b/{quote(name, safe='')}?x=1", origins=ORIGINS).file_name == name


def test_a_link_is_shown_without_its_query() -> None:
    link = SignedLink.checked(f"{HOST}/bucket/file.csv?X-Goog-Signature=abc", origins=ORIGINS)
    assert str(link) == f"{HOST}/bucket/file.csv"
    assert "abc" not in repr(link)
    assert "Signature" not in f"{link} {link!r}"


def test_a_link_with_a_question_mark_in_its_query_is_shown_without_it() -> None:
    link = SignedLink.checked(f"{HOST}/bucket/file.csv?X-Goog-Signature=abc?def", origins=ORIGINS)
    assert str(link) == f"{HOST}/bucket/file.csv"


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1, max_size=60).filter(
    lambda name: name not in {".", ".."} and "/" not in name and "\\" not in name
)


@given(names)
def test_any_ordinary_file_name_is_read_from_its_link(name: str) -> None:
    assert SignedLink.checked(f"{HOST}/b/{quote(name, safe='')}?x=1", origins=ORIGINS).file_name == name


@given(st.text(max_size=40).map(lambda text: f"{HOST}/{text}") | st.text(max_size=60))
def test_any_link_is_accepted_or_refused(url: str) -> None:
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


def test_a_file_that_is_no_longer_listed_needs_a_new_comparison() -> None:
    listing = Listing(listed("a.csv", "b.csv", signature=1), lambda _: listed("b.csv", signature=2))
    with pytest.raises(Conflict, match=r"a\.csv"):
        listing.renewed(listing.link("a.csv"))
    assert listing.link("b.csv").url == f"{HOST}/b/b.csv?signature=1"


def test_a_listing_that_names_a_file_twice_is_refused() -> None:
    links = [SignedLink.checked(f"{HOST}/{path}?n=1", origins=ORIGINS) for path in ("x/a.csv", "y/%61.csv")]
    with pytest.raises(LinkRefused, match=r"a\.csv.*more than once"):
        Listing(links, lambda _: [])
