"""Runs the peers in turn, and checks that every copy is complete."""

import time
from dataclasses import dataclass, field
from statistics import median

from bench.peers import Cost, Peer
from bench.servers import Servers
from bench.work import AT_ONCE, GIB, KIB, Job, Work, days, file_name, folder, prefix


@dataclass(frozen=True)
class Run:
    """One run, and what the servers received meanwhile."""

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
    """For an unchanged work: the run that copied the files before."""
    runs: list[Run] = field(default_factory=list)
    left_out: str = ""
    """Why there are no runs, or no more."""

    @property
    def seconds(self) -> float:
        """The median of the runs."""
        return median(run.cost.seconds for run in self.runs)

    @property
    def spread(self) -> tuple[float, float]:
        """The fastest and the slowest run, in seconds."""
        seconds = [run.cost.seconds for run in self.runs]
        return min(seconds), max(seconds)

    @property
    def cpu_s(self) -> float:
        """The median of the runs."""
        return median(run.cost.cpu_s for run in self.runs)

    @property
    def cpu_s_per_gib(self) -> float:
        """The median of the runs."""
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
        """The largest of the runs."""
        return max(run.cost.peak_bytes for run in self.runs)

    @property
    def busiest(self) -> Run:
        """The run with the most requests."""
        return max(self.runs, key=lambda run: run.requests)

    @property
    def spent_s(self) -> float:
        """The sum of all runs."""
        return sum(run.cost.seconds for run in self.runs)


class Bench:
    """Runs the peers between the servers."""

    def __init__(self, servers: Servers, peers: list[Peer], *, rounds: int) -> None:
        """The first of the `peers` is this project's."""
        self._servers = servers
        self._peers = peers
        self._rounds = rounds
        self._broken: dict[str, str] = {}

    def warm_up(self) -> None:
        """Let each peer copy one short file, to warm caches and imports; remember the peers that cannot do it."""
        job = self._prepare(Work("warm up", 1, KIB))
        for peer in self._peers:
            missing = peer.missing()
            if missing is not None:
                self._broken[peer.name] = f"not installed: {missing}"
                continue
            run = self._run(peer, job)
            if run.cost.failure:
                self._broken[peer.name] = f"cannot reach the bucket: {run.cost.failure}"

    def rows(self, work: Work, *, seconds: float, ends_at: float) -> list[Row]:
        """Do the work in rounds; in each round every peer runs once, in turn.

        A peer has no further round once its equal share of `seconds` is spent, or after `ends_at`. This project's peer
        has all rounds, since all others are compared with it.
        """
        rows = {peer.name: Row(peer.name, work, peer.copies) for peer in self._peers}
        for peer in self._peers:
            rows[peer.name].left_out = self._broken.get(peer.name) or peer.reason_to_skip(work) or ""
        job = self._prepare(work)
        able = [peer for peer in self._peers if not rows[peer.name].left_out]
        project = able[0]
        if work.is_unchanged:
            rows[project.name].first = self._run(project, job)
        for _ in range(self._rounds):
            for peer in able:
                row = rows[peer.name]
                if row.left_out:
                    continue
                if peer is not project and time.monotonic() >= ends_at:
                    row.left_out = "" if row.runs else "the bench's time was used up; allow more with --seconds"
                    continue
                if peer is not project and row.runs and row.spent_s >= seconds / len(able):
                    continue
                run = self._run(peer, job)
                if run.cost.failure:
                    row.left_out = run.cost.failure
                row.runs.append(run)
        return list(rows.values())

    def _prepare(self, work: Work) -> Job:
        answer = self._servers.source.command(
            days=work.days, files=work.files, size_bytes=work.size_bytes, delay_s=work.delay_s
        )
        self._servers.bucket.command(delay_s=work.delay_s, forget=True)
        self._expected = (work.size_bytes, answer["crc32c"])
        self._empties_bucket = not work.is_unchanged
        work_days = days(work.days)
        names = [folder(day) + file_name(day, number) for day in work_days for number in range(work.files)]
        return Job(
            days=work_days,
            listings=tuple(
                f"{self._servers.source.url}/download/v2/analytics/bench/{prefix(day)}" for day in work_days
            ),
            folders=tuple(folder(day) for day in work_days),
            links=tuple(answer["links"]),
            names=tuple(names),
            size_bytes=work.size_bytes,
            at_once=min(len(names), AT_ONCE),
        )

    def _run(self, peer: Peer, job: Job) -> Run:
        self._servers.source.command()
        self._servers.bucket.command(forget=self._empties_bucket)
        before_s = self._servers.cpu_s()
        cost = peer.run(job)
        servers_cpu_s = self._servers.cpu_s() - before_s
        source, bucket = self._servers.source.command(), self._servers.bucket.command()
        correct = [tuple(each) for each in bucket["objects"]].count(self._expected)
        if peer.copies and correct != len(job.names) and not cost.failure:
            failure = f"a wrong copy: {correct} of {len(job.names)} files are complete and correct"
            cost = Cost(cost.seconds, cost.cpu_s, cost.peak_bytes, failure)
        return Run(
            cost,
            servers_cpu_s,
            source["requests"] + bucket["requests"],
            source["connections"] + bucket["connections"],
            source["by_kind"] | bucket["by_kind"],
        )
