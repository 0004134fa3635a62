"""`make serve`: the stack and the function kept up, with curl lines to try them."""

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
The function        {function}  (open it in a browser: what is there and what is missing)
Export service      {exports}
Cloud Storage       {storage}
Secret Manager      {secrets} (gRPC)
Cloud Tasks         {tasks} (gRPC); its queue calls the function
The bucket's files  {folder}

Export a day, a week, the last three months:
  curl -d '{{"aggregation": "granular", "frequency": "daily", "date": "2022-04-01"}}' {function}
  curl -d '{{"aggregation": "interaction", "frequency": "weekly", "date": "2022-04-06"}}' {function}
  curl -d '{{"aggregation": "granular", "frequency": "monthly", "last": 3}}' {function}

The last thirty days: what a run would do; hand it to the queue, which calls the function. The first line again says how
far that has come:
  curl -d '{{"aggregation": "granular", "frequency": "daily", "last": 30, "dry_run": true}}' {function}
  curl -d '{{"aggregation": "granular", "frequency": "daily", "last": 30, "enqueue": true}}' {function}

Look at what landed:
  find {folder} -type f

What is there and what is missing, and whether the set-up is right; in a browser both are pages:
  curl {function}/
  curl {function}/check

Ask the export service yourself:
  curl -H 'x-api-key: {key}' {exports}/download/v2/analytics/{analytics_id}/granular-2022-04-01

Break a download in the middle, and see how often; then mend everything:
  curl -d '{{"where": "link.get", "kind": "reset", "after_bytes": 20000}}' {storage}/_faults
  curl {storage}/_faults
  curl -X DELETE {storage}/_faults

Ctrl-C ends it, and takes the files along. The function's log:
"""


def serve(*, port: int, rows: int, shards: int, least_bytes: int, api_version: str, settings: Mapping[str, str]) -> int:
    """Serve until Ctrl-C or SIGTERM. `port` is the function's, 0 means any free one; the rest is `Stack`'s."""
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
    """Show what the function writes, as it comes; returns when the function ends."""
    with Path(function.output_path).open(errors="replace") as output:
        while function.is_running:
            sys.stdout.write(output.read())
            sys.stdout.flush()
            time.sleep(POLL_S)
        sys.stdout.write(output.read())


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt
