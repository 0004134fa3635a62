"""`make serve`: keeps the stack and the function running, and prints curl lines to try them."""

import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from local.function import FunctionProcess
from local.stack import ANALYTICS_ID, API_KEY, Stack

POLL_S = 0.2

_TEXT = """\
The function        {function}  (open it in a browser: what is complete and what is missing)
Export service      {exports}
Cloud Storage       {storage}
Secret Manager      {secrets} (gRPC)
Cloud Tasks         {tasks} (gRPC); its queue calls the function
The bucket's files  {folder}

Export a day, a week, the last three months:
  curl -d '{{"aggregation": "granular", "frequency": "daily", "date": "2022-04-01"}}' {function}
  curl -d '{{"aggregation": "interaction", "frequency": "weekly", "date": "2022-04-06"}}' {function}
  curl -d '{{"aggregation": "granular", "frequency": "monthly", "last": 3}}' {function}

The last thirty days: a dry run; then through the queue, which calls the function. Repeat the dry run to see the
progress:
  curl -d '{{"aggregation": "granular", "frequency": "daily", "last": 30, "dry_run": true}}' {function}
  curl -d '{{"aggregation": "granular", "frequency": "daily", "last": 30, "enqueue": true}}' {function}

Show the copied files:
  find {folder} -type f

What is complete and what is missing; whether the set-up is right. In a browser both are pages:
  curl {function}/
  curl {function}/check

Call the export service yourself:
  curl -H 'x-api-key: {key}' {exports}/download/v2/analytics/{analytics_id}/granular-2022-04-01

Break the next download in the middle; see how often it happened; remove every fault:
  curl -d '{{"where": "link.get", "kind": "reset", "after_bytes": 20000}}' {storage}/_faults
  curl {storage}/_faults
  curl -X DELETE {storage}/_faults

Ctrl-C stops everything and deletes the files. The function's log:
"""


def serve(*, port: int, rows: int, shards: int, least_bytes: int, api_version: str, settings: Mapping[str, str]) -> int:
    """Serve until Ctrl-C or SIGTERM. `port` is the function's (0: any free one); the rest goes to `Stack`."""
    signal.signal(signal.SIGTERM, _interrupt)
    with Stack(rows=rows, shards=shards, least_bytes=least_bytes) as stack:
        env = {**stack.function_env(api_version=api_version), **settings}
        with FunctionProcess(env, port=port) as function:
            stack.tasks.queue.targets = [function.url]
            text = _TEXT.format(
                function=function.url,
                exports=stack.exports.url,
                storage=stack.storage.url,
                secrets=stack.secrets.host,
                tasks=stack.tasks.host,
                folder=stack.root / stack.bucket,
                key=API_KEY,
                analytics_id=ANALYTICS_ID,
            )
            sys.stdout.write(text)
            try:
                _follow(function)
            except KeyboardInterrupt:
                sys.stdout.write("\n")
    return 0


def _follow(function: FunctionProcess) -> None:
    """Print the function's output as it appears; return when the function ends."""
    with Path(function.output_path).open(errors="replace") as output:
        while function.is_running:
            sys.stdout.write(output.read())
            sys.stdout.flush()
            time.sleep(POLL_S)
        sys.stdout.write(output.read())


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt
