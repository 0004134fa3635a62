"""Rates of a day's reports, by SQL over the copied files and by counting the source's rows, to compare both.

The rates are those of Usercentrics' own dashboards ("Interaction Analytics": dashboards): interactions per display,
accepts per interaction, without bots; opt-ins per decision.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from local.reports import ACCEPTS, BOT, CMP_SHOWN, DENIES, SAVES

ACTIONS = {
    0: "accept all",
    1: "deny all",
    2: "essential change",
    3: "first visit",
    4: "non-EU region or bot",
    5: "session restored",
    6: "TCF string change",
    7: "granular choice",
    8: "mobile session restored",
}
DECISIONS = """\
SELECT action, sum(total) AS decisions, sum(if(consent = 1, total, 0)) / sum(total) AS opt_in_rate
FROM read_csv('{folder}/granular/daily/*/*.csv', hive_partitioning = true)
WHERE start_date = '2022-04-01'
GROUP BY action ORDER BY action"""
INTERACTIONS = """\
WITH sums AS (
  SELECT device_type, sum(if(event_type = 1, number, 0)) AS displays,
    sum(if(event_type BETWEEN 2 AND 10, number, 0)) AS interactions,
    sum(if(event_type IN (2, 5, 8), number, 0)) AS accepts
  FROM read_csv('{folder}/interaction/daily/*/*.csv', hive_partitioning = true)
  WHERE start_date = '2022-04-01' AND browser IS DISTINCT FROM 'bot'
  GROUP BY device_type)
SELECT device_type, displays, interactions, interactions / displays AS interaction_rate,
  accepts / interactions AS accept_rate
FROM sums ORDER BY device_type"""


@dataclass(frozen=True)
class Decisions:
    """The decisions of one action; the rate is a fraction."""

    decisions: int
    opt_in_rate: float


@dataclass(frozen=True)
class Interactions:
    """The interactions of one device, without bots; the rates are fractions."""

    displays: int
    interactions: int
    interaction_rate: float
    accept_rate: float


def selected_decisions(folder: Path) -> dict[int, Decisions]:
    """By action, by SQL."""
    return {action: Decisions(*figures) for action, *figures in _selected(DECISIONS, folder)}


def selected_interactions(folder: Path) -> dict[str, Interactions]:
    """By device, by SQL."""
    return {device: Interactions(*figures) for device, *figures in _selected(INTERACTIONS, folder)}


def counted_decisions(files: Iterable[bytes]) -> dict[int, Decisions]:
    """By action, counted row by row."""
    decisions, opt_ins = Counter[int](), Counter[int]()
    for row in _rows(files):
        action, total = int(row["action"]), int(row["total"])
        decisions[action] += total
        opt_ins[action] += total if row["consent"] == "1" else 0
    return {action: Decisions(count, opt_ins[action] / count) for action, count in decisions.items()}


def counted_interactions(files: Iterable[bytes]) -> dict[str, Interactions]:
    """By device, counted row by row."""
    displays, interactions, accepts = Counter[str](), Counter[str](), Counter[str]()
    for row in _rows(files):
        device, event, number = row["device_type"], int(row["event_type"]), int(row["number"])
        if row["browser"] != BOT:
            displays[device] += number if event == CMP_SHOWN else 0
            interactions[device] += number if event in {*ACCEPTS, *DENIES, *SAVES} else 0
            accepts[device] += number if event in ACCEPTS else 0
    return {
        device: Interactions(shown, (count := interactions[device]), count / shown, accepts[device] / count)
        for device, shown in displays.items()
    }


def _selected(query: str, folder: Path) -> list[tuple[Any, ...]]:
    return duckdb.execute(query.format(folder=folder)).fetchall()


def _rows(files: Iterable[bytes]) -> Iterator[Mapping[str, str]]:
    for data in files:
        yield from csv.DictReader(data.decode().splitlines())
