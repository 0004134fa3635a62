"""The rates that the demo shows are the same by SQL over the files and by counting rows."""

from pathlib import Path

import pytest

from local.rates import (
    Decisions,
    Interactions,
    counted_decisions,
    counted_interactions,
    selected_decisions,
    selected_interactions,
)
from local.reports import HEADERS, report

GRANULAR = f"""{HEADERS["granular"]}
2022-04-01,s,one,1,0,10,DE,Windows,Chrome
2022-04-01,s,one,0,7,5,DE,Windows,Chrome
2022-04-01,s,two,1,7,15,,Windows,Chrome
2022-04-01,s,two,1,4,2,DE,Linux,bot
2022-04-01,s,two,0,99,1,DE,Linux,Edge
"""
INTERACTION = f"""{HEADERS["interaction"]}
2022-04-01,1,s,example.com,DE,Chrome,mobile,Android,100
2022-04-01,1,s,example.com,DE,bot,mobile,Linux,1000
2022-04-01,2,s,example.com,DE,Chrome,mobile,Android,10
2022-04-01,5,s,example.com,,Chrome,mobile,Android,20
2022-04-01,8,s,example.com,DE,,mobile,Android,2
2022-04-01,6,s,example.com,DE,Chrome,mobile,Android,6
2022-04-01,10,s,example.com,DE,Chrome,mobile,Android,2
2022-04-01,11,s,example.com,DE,Chrome,mobile,Android,7
2022-04-01,18,s,example.com,DE,Chrome,mobile,Android,9
2022-04-01,1,s,example.com,DE,Edge,desktop,Windows,4
2022-04-01,9,s,example.com,DE,Edge,desktop,Windows,1
"""


def put(folder: Path, aggregation: str, *files: bytes) -> Path:
    day = folder / aggregation / "daily" / "start_date=2022-04-01"
    day.mkdir(parents=True)
    for number, data in enumerate(files):
        (day / f"{number}.csv").write_bytes(data)
    return folder


def test_opt_in_rates_weight_each_row_by_its_count(tmp_path: Path) -> None:
    expected = {0: Decisions(10, 1.0), 4: Decisions(2, 1.0), 7: Decisions(20, 0.75), 99: Decisions(1, 0.0)}
    assert counted_decisions([GRANULAR.encode()]) == expected
    assert selected_decisions(put(tmp_path, "granular", GRANULAR.encode())) == expected


def test_interaction_and_accept_rates_exclude_bots_and_events_that_are_no_choice(tmp_path: Path) -> None:
    expected = {"mobile": Interactions(100, 40, 0.4, 0.8), "desktop": Interactions(4, 1, 0.25, 0.0)}
    assert counted_interactions([INTERACTION.encode()]) == expected
    assert selected_interactions(put(tmp_path, "interaction", INTERACTION.encode())) == expected


@pytest.mark.parametrize("rows", [2000, 20_000])
def test_both_ways_agree_on_made_up_reports(tmp_path: Path, rows: int) -> None:
    granular = [b"".join(report("granular", "granular-2022-04-01", shard, rows=rows)) for shard in range(2)]
    interaction = [b"".join(report("interaction", "interaction-2022-04-01", shard, rows=rows)) for shard in range(2)]
    put(put(tmp_path, "granular", *granular), "interaction", *interaction)
    assert selected_decisions(tmp_path) == counted_decisions(granular)
    assert selected_interactions(tmp_path) == counted_interactions(interaction)
