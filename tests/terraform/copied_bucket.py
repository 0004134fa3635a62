"""A bucket that the function filled: complete days, a missing one, a half-copied one; a week; other aggregations.

And a file that a person put there: a copy in a folder below a period's. The reports have the known columns of the real
ones, and one more.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from analytics_export.periods import Aggregation, Export, Frequency, Period
from local.function import FunctionProcess
from local.stack import Stack

BUCKET = "my-bucket"
PREFIX = "some/"
"""The bucket and the prefix of the run `known_columns` in terraform/tests/tables.tftest.hcl."""

GRANULAR = "day,settings_id,dps_id,consent,action,total,country,os,browser,note"
INTERACTION = "day,event_type,settings_id,host,country,browser,device_type,os,number"

EVENTS = [
    # event_type, browser, number
    ("1", "chrome", "100"),
    ("1", "bot", "900"),
    ("1", "", "20"),
    ("2", "chrome", "20"),
    ("5", "chrome", "10"),
    ("8", "safari", "5"),
    ("ACCEPT_ALL_L1", "safari", "5"),
    ("3", "chrome", "12"),
    ("6", "chrome", "2"),
    ("9", "chrome", "1"),
    ("4", "chrome", "3"),
    ("7", "chrome", "1"),
    ("10", "chrome", "1"),
    ("5", "Bot", "800"),
    ("0", "chrome", "7"),
    ("17", "chrome", "7"),
    ("18", "chrome", "7"),
    ('""', "chrome", "7"),
    ("", "chrome", "7"),
    ("SOMETHING_NEW", "chrome", "7"),
    ("5", "chrome", "many"),
]


@contextmanager
def copied_bucket(root: Path) -> Iterator[Path]:
    """Run the function on the local stack. Return the folder with the bucket's objects, under their names."""
    with copied_bucket_and_function(root) as (bucket, _):
        yield bucket


@contextmanager
def copied_bucket_and_function(root: Path) -> Iterator[tuple[Path, FunctionProcess]]:
    """Do the same. Return the folder and the function, which still runs."""
    with (
        Stack(root=root, bucket=BUCKET) as stack,
        FunctionProcess({**stack.function_env(), "OBJECT_PREFIX": PREFIX}) as function,
    ):
        for name, day, *files in (
            ("granular/daily", date(2022, 4, 1), _decisions(0, 5), _decisions(5, 10)),
            ("granular/daily", date(2022, 4, 2), _decisions(0, 2)),
            ("granular/daily", date(2022, 4, 4), _decisions(0, 7)),
            (
                "granular/daily",
                date(2022, 4, 5),
                _decisions(0, 1) + b'day?,setting-9,dps-9,"",,"",,,,\n,setting-9,dps-9,2,x,7,,,,\n',
            ),
            ("granular/weekly", date(2022, 4, 4), _decisions(0, 7)),
            ("interaction/daily", date(2022, 4, 4), _events()),
            ("interaction/daily", date(2022, 4, 5), f"{INTERACTION}\n".encode()),
            ("interaction/monthly", date(2022, 1, 1), _events()),
            ("interaction/monthly", date(2022, 3, 1), _events()),
        ):
            aggregation, frequency = name.split("/")
            file_prefix = Export(Aggregation(aggregation), Period.holding(Frequency(frequency), day)).file_prefix
            stack.exports.put(file_prefix, {f"{file_prefix}-{n:012}.csv": data for n, data in enumerate(files)})
            answer = function.post({"aggregation": aggregation, "frequency": frequency, "date": day.isoformat()})
            assert answer.status == 200, answer.text
        # the state after a run that was interrupted before its last file
        assert stack.storage.delete(stack.bucket, f"{PREFIX}manifests/granular/daily/start_date=2022-04-04.json")
        bucket = root / stack.bucket
        period = bucket / PREFIX / "granular/daily/start_date=2022-04-01"
        (period / "old").mkdir()
        (period / "old/copy.csv").write_bytes(_decisions(0, 5))
        yield bucket, function


def _decisions(first_action: int, end: int) -> bytes:
    """One row per action, with 10 + the action's number as count; the note has what is difficult for CSV readers."""
    rows = [
        f'2022-04-01,setting-{action % 3},dps-{action % 2},{action % 2},{action},{10 + action},DE,ios,safari,"two\nlines, ""quoted"""'
        for action in range(first_action, end)
    ]
    return "\n".join([GRANULAR, *rows, ""]).encode()


def _events() -> bytes:
    rows = [
        f"2022-04-04,{event},setting-1,www.example.com,DE,{browser},mobile,ios,{number}"
        for event, browser, number in EVENTS
    ]
    return "\n".join([INTERACTION, *rows, ""]).encode()
