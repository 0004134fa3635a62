"""A bucket as the function leaves it, on disk: two good days, a lost one, a half-copied one; weeks; months."""

from datetime import UTC, date, datetime
from pathlib import Path

import requests
from google.cloud.storage import Client

from analytics_export.landing import Landing
from analytics_export.manifest import Manifest, StoredObject
from analytics_export.periods import Aggregation, Frequency, Period
from analytics_export.retries import Clock, Deadline

HEADER = ("settingsId", "consent", "action", "note")


def landed(root: Path) -> None:
    """Write every object below `root` under its own name."""
    granular, interaction = Aggregation.GRANULAR, Aggregation.INTERACTION
    daily, weekly, monthly = Frequency
    _export(root, granular, Period.holding(daily, date(2022, 4, 1)), _rows(0, 5), _rows(5, 10))
    _export(root, granular, Period.holding(daily, date(2022, 4, 2)), _rows(0, 2))
    # nothing for the 3rd
    _export(root, granular, Period.holding(daily, date(2022, 4, 4)), _rows(0, 7), is_complete=False)
    _export(root, granular, Period.holding(daily, date(2022, 4, 5)), _rows(0, 1))
    _export(root, interaction, Period.holding(weekly, date(2022, 4, 4)), "event,count\nclick,3\n")
    _export(root, interaction, Period.holding(monthly, date(2022, 1, 1)), "event,count\nclick,9\n")
    _export(root, interaction, Period.holding(monthly, date(2022, 3, 1)), "event,count\nclick,11\n")


def _rows(first_action: int, end: int) -> str:
    """One row an action; the note holds what CSV readers stumble over."""
    rows = [f'setting-{action},{action % 2},{action},"two\nlines, ""quoted"""' for action in range(first_action, end)]
    return "\n".join([",".join(HEADER), *rows]) + "\n"


def _export(root: Path, aggregation: Aggregation, period: Period, *files: str, is_complete: bool = True) -> None:
    landing = Landing(
        Client.create_anonymous_client(),
        requests.Session(),
        bucket="example-bucket",
        prefix="",
        stall_s=1,
        deadline=Deadline(1, Clock()),
    )
    stored = []
    for number, text in enumerate(files):
        name = landing.object_name(aggregation, period, f"{period.file_prefix(aggregation)}-{number:012}.csv")
        _write(root / name, text)
        stored.append(StoredObject(name, len(text.encode()), "yZRlqg==", "1795444110447059"))
    if is_complete:
        completed_at = datetime.combine(period.available_at.date(), period.available_at.time(), UTC)
        columns = tuple(files[0].splitlines()[0].split(","))
        manifest = Manifest(aggregation, period, "my-analytics-id", completed_at, columns, tuple(stored))
        _write(root / landing.manifest_name(aggregation, period), manifest.to_json())


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
