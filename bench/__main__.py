"""`python -m bench`: runs everything, prints the tables, writes results.md."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from bench import cold_start, peers, queue_scale, table, work
from bench.measure import Bench, Row
from bench.project import ProjectPeer
from bench.servers import Servers


def main() -> None:
    """Take the options, run, print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller files, fewer rounds, two minutes")
    parser.add_argument("--rounds", type=int, help="how often each peer does each work (5; quick: 3)")
    parser.add_argument("--seconds", type=float, help="how long the copies may take (480; quick: 60)")
    parser.add_argument("--delay-ms", type=float, default=work.DELAY_S * 1000, help="of the works with a delay")
    parser.add_argument("--output", type=Path, help="where the tables are written; printed in any case")
    asked = parser.parse_args()
    delay_s = asked.delay_ms / 1000
    todo = work.quick(delay_s) if asked.quick else work.whole(delay_s)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Servers(Path(folder)) as servers:
        project = ProjectPeer(servers)
        everyone: list[peers.Peer] = [project, *peers.others(servers), *peers.ceilings(servers)]
        rounds = asked.rounds or (3 if asked.quick else 5)
        bench = Bench(servers, everyone, rounds=rounds)
        bench.warm_up()
        cold = cold_start.measure(project, servers, tries=1 if asked.quick else 3)
        ends_at = time.monotonic() + (asked.seconds or (60 if asked.quick else 480))
        tables: list[list[Row]] = []
        try:
            for number, each in enumerate(todo):
                print(f"... {each.title}", file=sys.stderr, flush=True)
                contests = sum(not work.is_there_already for work in todo[number:])  # what is there costs little
                share_s = (ends_at - time.monotonic()) / max(1, contests)
                tables.append(bench.rows(each, seconds=share_s, ends_at=ends_at))
        finally:
            for peer in everyone:
                peer.stop()
    text = table.text(tables, cold, command="make bench-quick" if asked.quick else "make bench")
    print(text)
    print("... the queue", file=sys.stderr, flush=True)
    scales = queue_scale.measure(periods=30 if asked.quick else queue_scale.PERIODS, delay_s=delay_s)
    section = queue_scale.section(scales, delay_s=delay_s)
    print(section)
    text += "\n" + section
    if asked.output:
        asked.output.write_text(text)


if __name__ == "__main__":
    main()
