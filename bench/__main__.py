"""`python -m bench`: runs the whole bench, prints the tables, writes results.md."""

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
    """Run the bench with the options of the command line, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller files, fewer rounds, two minutes")
    parser.add_argument("--rounds", type=int, help="how often each peer does each work (default: 5; quick: 3)")
    parser.add_argument("--seconds", type=float, help="how long the copies may take (default: 480; quick: 60)")
    parser.add_argument(
        "--delay-ms", type=float, default=work.DELAY_S * 1000, help="delay of each answer, in the works with a delay"
    )
    parser.add_argument("--output", type=Path, help="a file for the tables; they are printed in any case")
    options = parser.parse_args()
    delay_s = options.delay_ms / 1000
    todo = work.quick(delay_s) if options.quick else work.whole(delay_s)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Servers(Path(folder)) as servers:
        project = ProjectPeer(servers)
        all_peers: list[peers.Peer] = [project, *peers.others(servers), *peers.ceilings(servers)]
        rounds = options.rounds or (3 if options.quick else 5)
        bench = Bench(servers, all_peers, rounds=rounds)
        bench.warm_up()
        cold = cold_start.measure(project, servers, tries=1 if options.quick else 3)
        ends_at = time.monotonic() + (options.seconds or (60 if options.quick else 480))
        tables: list[list[Row]] = []
        try:
            for number, each in enumerate(todo):
                print(f"... {each.title}", file=sys.stderr, flush=True)
                copying = sum(not work.is_unchanged for work in todo[number:])  # the others take little time
                share_s = (ends_at - time.monotonic()) / max(1, copying)
                tables.append(bench.rows(each, seconds=share_s, ends_at=ends_at))
        finally:
            for peer in all_peers:
                peer.stop()
    text = table.text(tables, cold, command="make bench-quick" if options.quick else "make bench")
    print(text)
    print("... the queue", file=sys.stderr, flush=True)
    scales = queue_scale.measure(periods=30 if options.quick else queue_scale.PERIODS, delay_s=delay_s)
    section = queue_scale.section(scales, delay_s=delay_s)
    print(section)
    text += "\n" + section
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    main()
