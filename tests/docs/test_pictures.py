"""The blocks that are no commands: names of objects, and the flow. Every name in them is the one that the code gives."""

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
    """What the objects of the examples' days are called."""
    made = set()
    for aggregation in Aggregation:
        for frequency in Frequency:
            export = Export(aggregation, Period.holding(frequency, date(2022, 4, 1)))
            made |= {LAYOUT.manifest(export)}
            made |= {LAYOUT.object_name(export, file) for file in (f"{export.file_prefix}-000000000000.csv", "*.csv")}
    return made


@pytest.mark.parametrize("block", blocks(""), ids=str)
def test_a_picture_names_objects_and_calls_as_they_are(block: Block) -> None:
    found = NAME.findall(block.text)
    assert found
    assert set(found) <= names()
    for body in re.findall(r"\{.*?\}", block.text):
        assert list(json.loads(body)) == ["aggregation", "frequency"]
