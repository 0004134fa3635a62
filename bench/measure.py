"""Runs the peers in turn, and sees that each copy is whole."""

import time
from dataclasses import dataclass, field
from statistics import median

from bench.peers import Cost, Peer
from bench.servers import Servers
from bench.work import AT_ONCE, GIB, KIB, Job, Work, days, file_name, folder, prefix


@dataclass(frozen=True)
class Run:
    """One run, and what arrived at the servers meanwhile."""

    cost: Cost
    servers_cpu_s: float
    """Processor time of both servers."""
    requests: int
    connections: int
    kinds: dict[str, int]


@dataclass
class Row:
    """One peer on one work."""

    peer: str
    work: Work
    copies: bool
    """False for a ceiling."""
    first: Run | None = None
    """The run that brought in what is there already."""
    runs: list[Run] = field(default_factory=list)
    left_out: str = ""
    """Why there are no runs."""

    @property
    def seconds(self) -> float:
        """The median."""
        return median(run.cost.seconds for run in self.runs)

    @property
    def spread(self) -> tuple[float, float]:
        """The fastest and the slowest, in seconds."""
        seconds = [run.cost.seconds for run in self.runs]
        return min(seconds), max(seconds)

    @property
    def cpu_s(self) -> float:
        """The median."""
        return median(run.cost.cpu_s for run in self.runs)

    @property
    def cpu_s_per_gib(self) -> float:
        """The median."""
        return self.cpu_s / (self.work.bytes / GIB)

    @property
    def servers_cpu_s(self) -> float:
        """The median, of both servers together."""
        return median(run.servers_cpu_s for run in self.runs)

    @property
    def servers_cpu_s_per_gib(self) -> float:
        """The median, of both servers together."""
        return self.servers_cpu_s / (self.work.bytes / GIB)

    @property
    def peak_bytes(self) -> int:
        """The largest."""
        return max(run.cost.peak_bytes for run in self.runs)

    @property
    def busiest(self) -> Run:
        """The run with the most requests."""
        return max(self.runs, key=lambda run: run.requests)

    @property
    def spent_s(self) -> float:
        """All runs together."""
        return sum(run.cost.seconds for run in self.runs)


class Bench:
    """The servers, and who copies between them."""

    def __init__(self, servers: Servers, peers: list[Peer], *, rounds: int) -> None:
        """`peers` begins with this project's."""
        self._servers = servers
        self._peers = peers
        self._rounds = rounds
        self._broken: dict[str, str] = {}

    def warm_up(self) -> None:
        """Let each peer copy one short file: warm caches and imports, and a list of those that cannot."""
        job = self._laid_out(Work("warm up", 1, KIB))
        for peer in self._peers:
            missing = peer.missing()
            if missing is not None:
                self._broken[peer.name] = f"not installed: {missing}"
                continue
            run = self._run(peer, job)
            if run.cost.failure:
                self._broken[peer.name] = f"cannot reach the bucket: {run.cost.failure}"

    def rows(self, work: Work, *, seconds: float, ends_at: float) -> list[Row]:
        """Do the work in rounds, each peer once a round, in turn.

        Each has an equal share of `seconds`, and no further round when that is spent, and none that begins after
        `ends_at`; this project's copy, which all are compared with, has all rounds.
        """
        rows = {peer.name: Row(peer.name, work, peer.copies) for peer in self._peers}
        for peer in self._peers:
            rows[peer.name].left_out = self._broken.get(peer.name) or peer.reason_to_skip(work) or ""
        job = self._laid_out(work)
        fit = [peer for peer in self._peers if not rows[peer.name].left_out]
        if work.is_there_already:
            rows[fit[0].name].first = self._run(fit[0], job)
        for _ in range(self._rounds):
            for peer in fit:
                row = rows[peer.name]
                if row.left_out:
                    continue
                if peer is not fit[0] and time.monotonic() >= ends_at:
                    row.left_out = "" if row.runs else "the bench's time was over; give it more with --seconds"
                    continue
                if peer is not fit[0] and row.runs and row.spent_s >= seconds / len(fit):
                    continue
                run = self._run(peer, job)
                if run.cost.failure:
                    row.left_out = run.cost.failure
                row.runs.append(run)
        return list(rows.values())

    def _laid_out(self, work: Work) -> Job:
        answer = self._servers.source.command(
            days=work.days, files=work.files, size_bytes=work.size_bytes, delay_s=work.delay_s
        )
        self._servers.bucket.command(delay_s=work.delay_s, forget=True)
        self._expected = (work.size_bytes, answer["crc32c"])
        self._forgets = not work.is_there_already
        asked_for = days(work.days)
        names = [folder(day) + file_name(day, number) for day in asked_for for number in range(work.files)]
        return Job(
            days=asked_for,
            listings=tuple(
                f"{self._servers.source.url}/download/v2/analytics/bench/{prefix(day)}" for day in asked_for
            ),
            folders=tuple(folder(day) for day in asked_for),
            links=tuple(answer["links"]),
            names=tuple(names),
            size_bytes=work.size_bytes,
            at_once=min(len(names), AT_ONCE),
        )

    def _run(self, peer: Peer, job: Job) -> Run:
        self._servers.source.command()
        self._servers.bucket.command(forget=self._forgets)
        before_s = self._servers.cpu_s()
        cost = peer.run(job)
        servers_cpu_s = self._servers.cpu_s() - before_s
        source, bucket = self._servers.source.command(), self._servers.bucket.command()
        right = [tuple(each) for each in bucket["objects"]].count(self._expected)
        if peer.copies and right != len(job.names) and not cost.failure:
            wrong = f"a wrong copy: {right} of {len(job.names)} files arrived whole"
            cost = Cost(cost.seconds, cost.cpu_s, cost.peak_bytes, wrong)
        return Run(
            cost,
            servers_cpu_s,
            source["requests"] + bucket["requests"],
            source["connections"] + bucket["connections"],
            source["by_kind"] | bucket["by_kind"],
        )
