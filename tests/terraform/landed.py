"""A bucket as the function leaves it: good days, a lost one, a half-copied one; a week; other aggregations."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from analytics_export.periods import Aggregation, Export, Frequency, Period
from local.function import FunctionProcess
from local.stack import Stack

HEADER = "settingsId,consent,action,note"
INTERACTION = b"event,count\nclick,3\n"


@contextmanager
def landed(root: Path) -> Iterator[Path]:
    """Run the function on the local stack; gives the folder that holds the bucket's objects under their names."""
    with Stack(root=root) as stack, FunctionProcess(stack.function_env()) as function:
        for name, day, *files in (
            ("granular/daily", date(2022, 4, 1), _rows(0, 5), _rows(5, 10)),
            ("granular/daily", date(2022, 4, 2), _rows(0, 2)),
            ("granular/daily", date(2022, 4, 4), _rows(0, 7)),
            ("granular/daily", date(2022, 4, 5), _rows(0, 1)),
            ("granular/weekly", date(2022, 4, 4), _rows(0, 7)),
            ("interaction/daily", date(2022, 4, 4), INTERACTION),
            ("interaction/daily", date(2022, 4, 5), INTERACTION),
            ("interaction/monthly", date(2022, 1, 1), INTERACTION),
            ("interaction/monthly", date(2022, 3, 1), INTERACTION),
        ):
            aggregation, frequency = name.split("/")
            file_prefix = Export(Aggregation(aggregation), Period.holding(Frequency(frequency), day)).file_prefix
            stack.exports.put(file_prefix, {f"{file_prefix}-{n:012}.csv": data for n, data in enumerate(files)})
            answer = function.post({"aggregation": aggregation, "frequency": frequency, "date": day.isoformat()})
            assert answer.status == 200, answer.text
        # as a run that was cut off before its last file leaves it
        assert stack.storage.delete(stack.bucket, "manifests/granular/daily/start_date=2022-04-04.json")
        yield root / stack.bucket


def _rows(first_action: int, end: int) -> bytes:
    """One row an action; the note holds what CSV readers stumble over."""
    rows = [f'setting-{action},{action % 2},{action},"two\nlines, ""quoted"""' for action in range(first_action, end)]
    return "\n".join([HEADER, *rows, ""]).encode()
