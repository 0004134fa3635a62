"""A manifest is one line of JSON, and reads back as what was written."""

import json
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_export.bucket.csv_header import DELIMITERS, CsvFormat
from analytics_export.bucket.header_rules import why_unusable
from analytics_export.bucket.manifest import Manifest, StoredObject
from analytics_export.periods import Aggregation, Export, Frequency, Period

MANIFEST = Manifest(
    export=Export(Aggregation.GRANULAR, Period(Frequency.MONTHLY, date(2022, 4, 1), date(2022, 4, 30))),
    analytics_id="some-analytics-id",
    completed_at=datetime(2022, 5, 1, 8, 31, 7, 999, tzinfo=UTC),
    csv_format=CsvFormat(("day", "consent"), ";", "ISO-8859-1", byte_order_mark=True, compression="GZIP"),
    objects=(StoredObject("granular/x.csv", 5, "yZRlqg==", "17"), StoredObject("granular/y.csv", 7, "AAAAAA==", "18")),
)


def test_a_manifest_has_the_documented_fields() -> None:
    assert json.loads(MANIFEST.to_json()) == {
        "aggregation": "granular",
        "frequency": "monthly",
        "start_date": "2022-04-01",
        "end_date": "2022-04-30",
        "file_prefix": "granular-2022-04-01-2022-04-30",
        "analytics_id": "some-analytics-id",
        "completed_at": "2022-05-01T08:31:07Z",
        "bytes": 12,
        "columns": ["day", "consent"],
        "field_delimiter": ";",
        "encoding": "ISO-8859-1",
        "byte_order_mark": True,
        "compression": "GZIP",
        "objects": [
            {"name": "granular/x.csv", "size": 5, "crc32c": "yZRlqg==", "generation": "17"},
            {"name": "granular/y.csv", "size": 7, "crc32c": "AAAAAA==", "generation": "18"},
        ],
    }


stored = st.builds(StoredObject, st.text(), st.integers(0, 10**15), st.text(), st.text())
periods = st.builds(Period.holding, st.sampled_from(Frequency), st.dates(date(1, 2, 1), date(9999, 12, 1)))
manifests = st.builds(
    Manifest,
    export=st.builds(Export, st.sampled_from(Aggregation), periods),
    analytics_id=st.text(),
    completed_at=st.datetimes(datetime(2000, 1, 1), timezones=st.just(UTC)).map(lambda at: at.replace(microsecond=0)),  # noqa: DTZ001 - a bound
    csv_format=st.builds(
        CsvFormat,
        columns=st.lists(st.text()).map(tuple).map(lambda names: () if why_unusable(names) else names),
        field_delimiter=st.sampled_from(DELIMITERS),
        encoding=st.sampled_from(["UTF-8", "UTF-16LE"]),
        byte_order_mark=st.booleans(),
        compression=st.sampled_from(["NONE", "GZIP"]),
        unusable=st.none(),
    ),
    objects=st.lists(stored).map(tuple),
)


@given(manifests)
def test_a_manifest_is_one_line_and_reads_back_unchanged(manifest: Manifest) -> None:
    line = manifest.to_json()
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert Manifest.from_json(line.encode()) == manifest


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b"17",
        b"\xff",
        b"[" * 100_000,
        MANIFEST.to_json().encode()[:-5],
        MANIFEST.to_json().replace("monthly", "hourly").encode(),
        MANIFEST.to_json().replace("2022-04-30", "2022-04-31").encode(),
        MANIFEST.to_json().replace('"size": 5, ', "").encode(),
        MANIFEST.to_json().replace('"size": 5', '"length": 5').encode(),
        MANIFEST.to_json().replace('["day", "consent"]', "null").encode(),
        MANIFEST.to_json().replace('["day", "consent"]', '"day"').encode(),
        MANIFEST.to_json().replace('"encoding": "ISO-8859-1"', '"encoding": 1').encode(),
    ],
)
def test_an_invalid_manifest_is_read_as_none(text: bytes) -> None:
    assert Manifest.from_json(text) is None


def as_1_0_0_wrote_it(columns: list[str]) -> bytes:
    value = json.loads(MANIFEST.to_json())
    for name in ("field_delimiter", "encoding", "byte_order_mark", "compression"):
        del value[name]
    return json.dumps(value | {"columns": columns}).encode()


def test_a_manifest_of_1_0_0_is_read_with_the_format_that_it_assumed() -> None:
    manifest = Manifest.from_json(as_1_0_0_wrote_it(["day", "consent"]))
    assert manifest is not None
    assert manifest.csv_format == CsvFormat(("day", "consent"), ",", "UTF-8", byte_order_mark=False, compression="NONE")
    assert manifest.objects == MANIFEST.objects


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param(["day", "consent\n2022-04-01,1\n2022-04-02,0"], id="rows in a name"),
        pytest.param(["2022-04-01", "x", "1"], id="a row"),
        pytest.param(["sep=", ""], id="an empty name"),
        pytest.param(["x" * 301], id="a long name"),
    ],
)
def test_unusable_column_names_of_1_0_0_are_dropped(columns: list[str]) -> None:
    """The manifest stays valid; only its columns are dropped."""
    manifest = Manifest.from_json(as_1_0_0_wrote_it(columns))
    assert manifest is not None
    assert (manifest.csv_format, manifest.objects) == (CsvFormat(), MANIFEST.objects)
