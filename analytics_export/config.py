"""The settings: every environment variable with its meaning, unit, default and check."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from analytics_export.errors import Misconfigured

T = TypeVar("T")

SERVICE_URL = "https://data-export.service.usercentrics.eu"
"""Source: Usercentrics, "Analytics data export", section "HTTP Request Format"; v1 lives under /api."""

_AUTHORITY = r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_PLAINTEXT = f"(?:{_AUTHORITY})?"
_PLAINTEXT_FORM = "host:port (no scheme), or unset"


class ApiVersion(StrEnum):
    """The version of the export service's API; v1 is deprecated by Usercentrics."""

    V1 = "v1"
    V2 = "v2"


@dataclass(frozen=True)
class Settings:
    """What the operator sets, checked."""

    analytics_id: str
    bucket: str
    api_key_secret_version: str
    """`projects/P/secrets/S/versions/V`, V a number or `latest`."""
    api_version: ApiVersion
    service_url: str
    """Without a slash at the end."""
    download_origins: frozenset[str]
    """Each `scheme://host` or `scheme://host:port` in lower case, without a default port."""
    object_prefix: str
    """Empty, or ending in a slash."""
    parallel_transfers: int
    deadline_s: float
    stall_s: float
    secret_manager_emulator: str | None
    """`host:port` of a plaintext gRPC Secret Manager."""
    tasks_queue: str | None
    """`projects/P/locations/L/queues/Q`; only `enqueue` needs it."""
    cloud_tasks_emulator: str | None
    """`host:port` of a plaintext gRPC Cloud Tasks."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Check all variables together.

        Raises Misconfigured with the name of every wrong variable and the form it must have. Its value is not repeated:
        it may be the API key, set instead of its secret's name.
        """
        faults: list[str] = []

        def read(name: str, default: str | None, form: str, check: Callable[[str], T | None]) -> T:
            text = environ.get(name, "").strip() or default
            value = None if text is None else check(text)
            if value is None:
                faults.append(f"{name} must be {form}; it is {'not set' if text is None else 'set to something else'}")
            return value  # type: ignore[return-value] # a None is never returned to a caller: `faults` raises below

        version = read("EXPORT_API_VERSION", "v2", "v2 or v1", _api_version)
        settings = cls(
            analytics_id=read(
                "ANALYTICS_ID",
                None,
                "the ID that Usercentrics handed out (one path segment: no slash, space, ? # or %)",
                _matching(r"(?!\.{1,2}$)[^/\\?#%\s\x00-\x1f\x7f]{1,256}"),
            ),
            bucket=read(
                "BUCKET",
                None,
                "the name of a Cloud Storage bucket (lower-case letters, digits, - _ and dots; no gs://)",
                _matching(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"),
            ),
            api_key_secret_version=read(
                "API_KEY_SECRET",
                None,
                "projects/PROJECT/secrets/SECRET or projects/PROJECT/secrets/SECRET/versions/VERSION",
                _secret_version,
            ),
            api_version=version,
            service_url=read(
                "EXPORT_SERVICE_URL",
                SERVICE_URL + ("/api" if version is ApiVersion.V1 else ""),
                "an http(s) URL without user info, query or fragment",
                _base_url,
            ),
            download_origins=read(
                "DOWNLOAD_ORIGINS",
                "https://storage.googleapis.com",
                "comma-separated origins, each scheme://host or scheme://host:port",
                _origins,
            ),
            object_prefix=read(
                "OBJECT_PREFIX",
                "",
                "empty, or a path that ends in / and does not start with one (at most 500 bytes)",
                _object_prefix,
            ),
            parallel_transfers=read(
                "PARALLEL_TRANSFERS", "8", "a whole number from 1 to 64", _whole_number(at_most=64)
            ),
            deadline_s=read("DEADLINE_SECONDS", "1740", "a number of seconds, over 0 and at most 3600", _seconds),
            stall_s=read("STALL_SECONDS", "60", "a number of seconds, over 0 and at most 3600", _seconds),
            secret_manager_emulator=read("SECRET_MANAGER_EMULATOR_HOST", "", _PLAINTEXT_FORM, _matching(_PLAINTEXT))
            or None,
            tasks_queue=read(
                "TASKS_QUEUE",
                "",
                "projects/PROJECT/locations/LOCATION/queues/QUEUE, or unset",
                _matching(r"(?:projects/[a-z0-9:.-]+/locations/[a-z0-9-]+/queues/[A-Za-z0-9-]{1,100})?"),
            )
            or None,
            cloud_tasks_emulator=read("CLOUD_TASKS_EMULATOR_HOST", "", _PLAINTEXT_FORM, _matching(_PLAINTEXT)) or None,
        )
        read(
            "STORAGE_EMULATOR_HOST",
            "",
            "http://host:port, or unset",
            _matching(rf"(?:https?://{_AUTHORITY})?"),
        )
        if faults:
            raise Misconfigured("Correct these settings of the function: " + "; ".join(faults) + ".")
        return settings

    @property
    def project(self) -> str:
        """The Google Cloud project that holds the secret; traces are named after it."""
        return self.api_key_secret_version.split("/")[1]


def origin_of(scheme: str, authority: str) -> str:
    """Return `scheme://authority` in lower case, without a default port."""
    origin = f"{scheme}://{authority}".lower()
    return origin.removesuffix({"https": ":443", "http": ":80"}.get(scheme.lower(), ""))


def _matching(pattern: str) -> Callable[[str], str | None]:
    return lambda text: text if re.fullmatch(pattern, text) else None


def _api_version(text: str) -> ApiVersion | None:
    return ApiVersion(text) if text in list(ApiVersion) else None


def _secret_version(text: str) -> str | None:
    if not re.fullmatch(r"projects/[a-z0-9:.-]+/secrets/[A-Za-z0-9_-]+(/versions/[A-Za-z0-9_-]+)?", text):
        return None
    return text if "/versions/" in text else f"{text}/versions/latest"


def _base_url(text: str) -> str | None:
    match = re.fullmatch(rf"https?://{_AUTHORITY}(/[A-Za-z0-9._~/%-]*)?", text, re.IGNORECASE)
    return text.rstrip("/") if match else None


def _origins(text: str) -> frozenset[str] | None:
    matches = [re.fullmatch(rf"(https?)://({_AUTHORITY})/?", part.strip(), re.IGNORECASE) for part in text.split(",")]
    return frozenset(origin_of(match[1], match[2]) for match in matches if match) if all(matches) else None


def _object_prefix(text: str) -> str | None:
    well_formed = not text or re.fullmatch(r"(?:(?!\.{1,2}/)[^/\x00-\x1f\x7f]+/)+", text)
    return text if well_formed and len(text.encode()) <= 500 else None  # noqa: PLR2004 - object names end at 1024


def _whole_number(*, at_most: int) -> Callable[[str], int | None]:
    return lambda text: int(text) if re.fullmatch(r"[0-9]{1,9}", text) and 1 <= int(text) <= at_most else None


def _seconds(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text) and 0 < float(text) <= 3600 else None  # noqa: PLR2004 - the longest a function may run
