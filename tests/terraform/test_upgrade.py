"""`terraform apply` over 1.0.0 recreates no resource that has data, or whose name is used elsewhere.

plans/1.0.0.json has the unchangeable values of each resource that 1.0.0 plans for the same variables.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.terraform.provider_rules import replacing
from tests.terraform.terraform_cli import MODULE, planned

BEFORE: dict[str, dict[str, dict[str, Any]]] = json.loads((Path(__file__).parent / "plans/1.0.0.json").read_text())
HAS_NO_DATA = ("google_bigquery_table.", "google_storage_bucket_object.source")
"""External tables and views, and the source's zip, whose name depends on its content."""
HAS_DATA = {
    "google_bigquery_dataset.exports",
    "google_secret_manager_secret.api_key",
    "google_storage_bucket.data[0]",
    "google_storage_bucket.source",
}


def moves(text: str) -> dict[str, str]:
    """The moved blocks of a configuration: old address -> new address."""
    return dict(re.findall(r"^moved \{\n\s*from\s*=\s*(\S+)\n\s*to\s*=\s*(\S+)\n\}", text, re.MULTILINE))


MOVED = moves("\n".join(path.read_text() for path in sorted(MODULE.glob("*.tf"))))


def recreated(before: dict[str, dict[str, Any]], after: dict[str, tuple[str, dict[str, Any]]]) -> list[str]:
    """The resources that an apply would destroy, with the reason."""
    found = []
    for address, values in before.items():
        now = MOVED.get(address, address)
        if address.startswith(HAS_NO_DATA):
            continue
        if now not in after:
            found.append(f"{address}: is removed")
        elif replacing(*after[now]) != values:
            found.append(f"{address}: {values} becomes {replacing(*after[now])}")
    return found


@pytest.mark.parametrize("run", sorted(BEFORE))
def test_no_resource_is_recreated(run: str) -> None:
    assert recreated(BEFORE[run], planned(run)) == []


def test_bucket_dataset_and_secret_are_compared() -> None:
    assert set(BEFORE["defaults"]) >= HAS_DATA
    assert all(BEFORE["defaults"][address] for address in HAS_DATA), "with their unchangeable values"


@pytest.mark.parametrize("address", sorted(HAS_DATA))
def test_a_change_that_recreates_is_found(address: str) -> None:
    after = dict(planned("defaults"))
    kind, values = after[address]
    name = {"google_bigquery_dataset": "dataset_id", "google_secret_manager_secret": "secret_id"}.get(kind, "name")
    after[address] = (kind, {**values, name: "another"})
    assert [line for line in recreated(BEFORE["defaults"], after) if line.startswith(f"{address}: ")]
    del after[address]
    assert recreated(BEFORE["defaults"], after) == [f"{address}: is removed"]


def test_moved_blocks_are_read() -> None:
    assert moves("moved {\n  from = a.b\n  to   = a.c\n}\n") == {"a.b": "a.c"}
