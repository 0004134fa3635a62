"""A bucket as the function leaves it: good days, a lost one, a half-copied one; a week; months."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.function import FunctionProcess
from local.stack import Stack

HEADER = "settingsId,consent,action,note"
INTERACTION = b"event,count\nclick,3\n"


@contextmanager
def landed(root: Path) -> Iterator[Path]:
    """Run the function on the local stack; gives the folder that holds the bucket's objects under their names."""
    with Stack(root=root) as stack, FunctionProcess(stack.function_env()) as function:
        for file_prefix, files in {
            "granular-2022-04-01": [_rows(0, 5), _rows(5, 10)],
            "granular-2022-04-02": [_rows(0, 2)],
            "granular-2022-04-04": [_rows(0, 7)],
            "granular-2022-04-05": [_rows(0, 1)],
            "interaction-2022-04-04-2022-04-10": [INTERACTION],
            "interaction-2022-01-01-2022-01-31": [INTERACTION],
            "interaction-2022-03-01-2022-03-31": [INTERACTION],
        }.items():
            aggregation, day = file_prefix.split("-")[0], file_prefix.split("-", 1)[1][:10]
            frequency = {"granular": "daily", "interaction": "weekly" if day == "2022-04-04" else "monthly"}[
                aggregation
            ]
            names = [f"{file_prefix}-{number:012}.csv" for number in range(len(files))]
            stack.exports.put(file_prefix, dict(zip(names, files, strict=True)))
            answer = function.post({"aggregation": aggregation, "frequency": frequency, "date": day})
            assert answer.status == 200, answer.text
        # as a run that was cut off before its last file leaves it
        assert stack.storage.delete(stack.bucket, "manifests/granular/daily/start_date=2022-04-04.json")
        yield root / stack.bucket


def _rows(first_action: int, end: int) -> bytes:
    """One row an action; the note holds what CSV readers stumble over."""
    rows = [f'setting-{action},{action % 2},{action},"two\nlines, ""quoted"""' for action in range(first_action, end)]
    return "\n".join([HEADER, *rows, ""]).encode()
