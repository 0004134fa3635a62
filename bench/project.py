"""This project as a peer: the function itself, under functions-framework, called over HTTP as by Cloud Scheduler."""

from collections.abc import Sequence

from bench.peers import Cost, environment
from bench.servers import Servers
from bench.work import AT_ONCE, BUCKET, Job, Work
from local.faults import Faults
from local.function import FunctionProcess
from local.processes import cpu_s, forget_peak, memory_bytes, tree
from local.secret_manager import SecretManager

SECRET = "projects/bench/secrets/api-key"  # noqa: S105 - a secret's name


def request(days: Sequence[str]) -> dict[str, str]:
    """Return the request for these days, which have no gaps."""
    selector = {"date": days[0]} if len(days) == 1 else {"from": days[0], "to": days[-1]}
    return {"aggregation": "granular", "frequency": "daily"} | selector


class ProjectPeer:
    """The warm function: the cost of an instance before its first answer is shown in a table of its own."""

    name = "**this project**"
    copies = True

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._secrets = SecretManager(faults=Faults())
        self._secrets.add_version(SECRET, "made-up")
        self._secrets.start()
        self.function = FunctionProcess(self.settings())
        self._is_started = False

    def settings(self) -> dict[str, str]:
        """Return the function's environment."""
        return environment(self._servers) | {
            "ANALYTICS_ID": "bench",
            "BUCKET": BUCKET,
            "API_KEY_SECRET": SECRET,
            "EXPORT_SERVICE_URL": self._servers.source.url,
            "DOWNLOAD_ORIGINS": self._servers.source.url,
            "PARALLEL_TRANSFERS": str(AT_ONCE),
            "SECRET_MANAGER_EMULATOR_HOST": self._secrets.host,
        }

    def missing(self) -> str | None:
        """Return None: it is part of the repository."""
        return None

    def reason_to_skip(self, work: Work) -> str | None:  # noqa: ARG002 - a Peer's
        """Return None: it does every work."""
        return None

    def run(self, job: Job) -> Cost:
        """Request the days in one call; the function lists the files at the export service."""
        if not self._is_started:
            self.function.start()
            self._is_started = True
            self.function.post({})  # refused (400), once the settings are read and the clients open
        worker = max(tree(self.function.pid))
        forget_peak(worker)
        cpu_before_s = cpu_s(worker)
        answer = self.function.post(request(job.days), timeout=600)
        return Cost(
            answer.seconds,
            cpu_s(worker) - cpu_before_s,
            memory_bytes(worker),
            None if answer.status == 200 else answer.text[:300],  # noqa: PLR2004 - OK
        )

    def stop(self) -> None:
        """Stop the function and Secret Manager."""
        if self._is_started:
            self.function.stop()
        self._secrets.stop()
