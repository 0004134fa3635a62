"""The blocks without a language: object names, and the flow. They use the names that the code forms."""

import json
import re
from datetime import date

import pytest

from analytics_export.bucket.layout import Layout
from analytics_export.periods import Aggregation, Export, Frequency, Period
from tests.docs.documents import Block, blocks

NAME = re.compile(r"(?:gs://BUCKET/)?(\S*start_date=\S+)")
LAYOUT = Layout("")


def names() -> set[str]:
    """The object names of the days in the examples."""
    made = set()
    for aggregation in Aggregation:
        for frequency in Frequency:
            export = Export(aggregation, Period.holding(frequency, date(2022, 4, 1)))
            made |= {LAYOUT.manifest(export)}
            made |= {LAYOUT.object_name(export, file) for file in (f"{export.file_prefix}-000000000000.csv", "*.csv")}
    return made


@pytest.mark.parametrize("block", blocks(""), ids=str)
def test_a_picture_uses_the_real_names_of_objects_and_fields(block: Block) -> None:
    found = NAME.findall(block.text)
    assert found
    assert set(found) <= names()
    for body in re.findall(r"\{.*?\}", block.text):
        assert list(json.loads(body)) == ["aggregation", "frequency"]
