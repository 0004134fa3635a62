"""The results of checking each part of the set-up, and the answer made of them. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass

from analytics_export.errors import ExportError, Misconfigured, worst

NAMES = ("settings", "secret", "export_service", "bucket", "queue")
"""The parts of the set-up, in the order of the answer; the queue only where there is one."""


@dataclass(frozen=True)
class Check:
    """The result for one part of the set-up: what was found, or what to do."""

    name: str
    detail: str
    error: ExportError | None = None

    @property
    def ok(self) -> bool:
        """Whether this part is right."""
        return self.error is None

    def to_json(self) -> dict[str, object]:
        """Return the form that the answer has."""
        return {"name": self.name, "ok": self.ok, "detail": self.detail}


def without_settings(error: Misconfigured) -> list[Check]:
    """Return the checks where the settings, or the Google credentials, are wrong: nothing else can be tried."""
    others = [Check(name, "Not tried: the settings must be right first.", error) for name in NAMES[1:-1]]
    return [Check("settings", error.detail, error), *others]


def problem(found: Sequence[Check]) -> ExportError | None:
    """Return the worst error; None where everything is right."""
    errors = [each.error for each in found if each.error is not None]
    return worst(errors) if errors else None


def to_json(found: Sequence[Check]) -> dict[str, object]:
    """Return the form that the answer has; where something is wrong, with the detail of its problem document."""
    wrong = [each.name for each in found if not each.ok]
    summed_up = {"detail": f"Not right: {', '.join(wrong)}. `checks` says what to do."} if wrong else {}
    return summed_up | {"checks": [each.to_json() for each in found]}
