"""Complete periods put into the bucket as a run leaves them: manifests with their summaries."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from analytics_export.bucket.csv_header import CsvFormat
from analytics_export.bucket.layout import Layout
from analytics_export.bucket.manifest import Manifest, StoredObject, to_metadata
from analytics_export.periods import Aggregation, Export, Frequency, Period, finished_within
from local.stack import ANALYTICS_ID, Stack
from tests.support.destination import Bucket

DAYS = (Aggregation.GRANULAR, Frequency.DAILY)
OBJECTS, SIZE_BYTES = 3, 1_234_567
"""Objects of each period, and bytes of each object."""


def landed(export: Export, *, analytics_id: str = ANALYTICS_ID) -> Manifest:
    """The manifest of a period that was exported 25 minutes after it became available."""
    objects = tuple(
        StoredObject(f"{Layout('').folder(export)}{number}.csv", SIZE_BYTES, "AAAAAA==", "1")
        for number in range(OBJECTS)
    )
    at = export.period.available_at + timedelta(minutes=25)
    return Manifest(export, analytics_id, at, CsvFormat(columns=("a", "b")), objects)


def put_manifest(stack: Stack, manifest: Manifest, *, is_summarised: bool = True) -> None:
    """Write it, with its summary or, as version 1.0.0 did, without."""
    body = manifest.to_json().encode()
    name = Layout("").manifest(manifest.export)
    metadata = to_metadata(manifest, body) if is_summarised else None
    if stack.is_destination_ours:  # directly: some tests need thousands
        store = stack.storage.store
        draft = store.draft()
        draft.append(body)
        store.commit(draft, bucket=stack.bucket, name=name, content_type="application/json", metadata=metadata)
    else:
        Bucket(stack.client(), stack.bucket).write(name, body, metadata=metadata)


def land(
    stack: Stack,
    first: date,
    last: date,
    *,
    kind: tuple[Aggregation, Frequency] = DAYS,
    but: Iterable[date] = (),
    is_summarised: bool = True,
) -> None:
    """Write the manifests of all periods of a span, except of those that start on a day in `but`."""
    for period in periods(first, last, kind[1]):
        if period.start not in set(but):
            put_manifest(stack, landed(Export(kind[0], period)), is_summarised=is_summarised)


def periods(first: date, last: date, frequency: Frequency) -> list[Period]:
    """The periods that contain a day of the span, oldest first."""
    later = datetime.combine(last + timedelta(days=40), time(), tzinfo=UTC)
    return list(finished_within(frequency, first=first, last=last, now=later))[::-1]
