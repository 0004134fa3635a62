"""Signed links: which are accepted, the names of their files, and how they are renewed. No I/O."""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote, unquote_to_bytes

from analytics_export.config import origin_of
from analytics_export.errors import Conflict, LinkRefused


@dataclass(frozen=True)
class SignedLink:
    """A link that lets anyone who has it download the file; printed without its query."""

    url: str = field(repr=False)
    file_name: str
    """The last segment of the path, percent-decoded."""

    def __str__(self) -> str:
        return self.url.partition("?")[0]

    @classmethod
    def checked(cls, url: str, *, origins: frozenset[str]) -> "SignedLink":
        """Return the link if it leads to one of `origins` and names a file that can be stored; raises LinkRefused.

        The link's origin must equal one of them as text: then no two URL parsers can read different hosts from it, and
        user info is refused.
        """
        match = re.fullmatch(r"(https?)://([^/?#]*)(/[^?#]*)(\?[^#]*)?", url, re.IGNORECASE)
        is_garbled = not url.isprintable() or " " in url or "\\" in url or re.search("%(?![0-9A-Fa-f]{2})", url)
        if match is None or is_garbled:
            raise LinkRefused("A download link is not a well-formed http(s) URL; nothing is fetched from it.")
        if origin_of(match[1], match[2]) not in origins:
            raise LinkRefused(
                f"A download link leads to {_shown_origin(match[1], match[2])}, which is not one of DOWNLOAD_ORIGINS "
                f"({', '.join(sorted(origins))}); nothing is fetched from it. Add the origin only if Usercentrics "
                "confirms it."
            )
        if {".", ".."} & set(unquote(match[3]).split("/")):
            raise LinkRefused(
                "A download link's path has dot segments (. or ..): another file than the listed one would be asked "
                "for. Nothing is fetched from it."
            )
        return cls(url, _file_name(match[3].rpartition("/")[2]))


def _shown_origin(scheme: str, authority: str) -> str:
    user_info, at, host = authority.rpartition("@")
    return f"{scheme}://{'...@' if at or user_info else ''}{host[:100]}"


def _file_name(segment: str) -> str:
    """Decode a path segment. Non-ASCII names are kept as they are; names that tools could misread are refused."""
    try:
        name = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError as exc:
        raise LinkRefused("A download link's file name is not UTF-8; nothing is fetched from it.") from exc
    unusable = (
        not name
        or "/" in name
        or "\\" in name
        or any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 or char in "\u2028\u2029" for char in name)  # noqa: PLR2004 - C0 and C1
    )
    if unusable:
        raise LinkRefused(
            f"A download link's file name, {name[:80]!a}, cannot be stored: expected a name without "
            "slashes and control characters that is not empty. Nothing is fetched from it."
        )
    return name


class Listing:
    """The links of one period, one per file. When links expire, all are renewed together."""

    def __init__(self, links: list[SignedLink], renew: Callable[[SignedLink], list[SignedLink]]) -> None:
        self._renew = renew
        self._lock = threading.Lock()
        self._links: dict[str, SignedLink] = {}
        for link in links:
            if link.file_name in self._links:
                raise LinkRefused(
                    f"The listing names the file {link.file_name!a} more than once; nothing is fetched from it."
                )
            self._links[link.file_name] = link

    @property
    def file_names(self) -> list[str]:
        """The names in the service's order."""
        return list(self._links)

    def link(self, file_name: str) -> SignedLink:
        """Return the newest link to a file."""
        return self._links[file_name]

    def renewed(self, stale: SignedLink) -> SignedLink:
        """Return a newer link to the same file than `stale`; asks the service unless another thread has done so since.

        Raises Conflict when the service no longer lists the file, and whatever asking the service raises.
        """
        with self._lock:
            if self._links[stale.file_name] is stale:
                fresh = {link.file_name: link for link in self._renew(stale)}
                if stale.file_name not in fresh:
                    raise Conflict(f"The export service no longer lists {stale.file_name}.")
                self._links |= {name: link for name, link in fresh.items() if name in self._links}
            return self._links[stale.file_name]
