"""The tools that are compared: commands, Python libraries, and this project's function."""

import json
import os
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from bench.servers import PYTHON, REPOSITORY, Servers
from bench.work import AT_ONCE, BUCKET, Job, Work
from local.processes import PeakMemory, cpu_s, forget_peak, memory_bytes

TRUST = Path(__file__).resolve().parent / "trust"


@dataclass(frozen=True)
class Cost:
    """The time and memory of one run."""

    seconds: float
    cpu_s: float
    peak_bytes: int
    failure: str | None = None
    """The peer's error, if it failed."""


class Peer(Protocol):
    """One way to copy."""

    name: str
    copies: bool
    """False for a ceiling, which shows the limits of the servers."""

    def missing(self) -> str | None:
        """Return how to install it; None if it is installed."""

    def reason_to_skip(self, work: Work) -> str | None:
        """Return why it does not do this work; None if it does."""

    def run(self, job: Job) -> Cost:
        """Do the job."""

    def stop(self) -> None:
        """Stop its processes."""


COPIES_AGAIN = "does not compare with the source: it would copy everything again, as above"
LISTS_NO_LINKS = "needs a script that requests the links of each day; the plain script is one"
LISTS_LINKS = "equals the row of `upload_from_string` if there is only one day"


def environment(servers: Servers) -> dict[str, str]:
    """Return the environment variables by which every peer finds the bucket and trusts its certificate."""
    authority = str(servers.authority)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(servers.authority.parent),
        "BUCKET_SERVER": servers.bucket.url,
        "BUCKET": BUCKET,
        "CURL_CA_BUNDLE": authority,
        "SSL_CERT_FILE": authority,
        "BENCH_AUTHORITY": authority,
        "PYTHONPATH": str(TRUST),
        "STORAGE_EMULATOR_HOST": servers.bucket.url,
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",  # else it requests the kind of the bucket over gRPC
        "RCLONE_CONFIG": "",
        "RCLONE_CA_CERT": authority,
        "RCLONE_GCS_ANONYMOUS": "true",
        "RCLONE_GCS_NO_CHECK_BUCKET": "true",
        "RCLONE_GCS_ENDPOINT": f"{servers.bucket.url}/storage/v1/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{servers.bucket.url}/storage/v1/",
        "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE": authority,
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "true",
        "CLOUDSDK_CORE_PROJECT": "bench",
        "CLOUDSDK_STORAGE_CHECK_HASHES": "never",  # it needs an MD5 of the bucket, which would slow down every peer
    }


class CommandPeer:
    """A command line, run for each file: $1 is the link, $2 the object's name, $SIZE its length in bytes."""

    def __init__(
        self,
        name: str,
        script: str,
        servers: Servers,
        *,
        needs: dict[str, str],
        copies: bool = True,
        max_files: tuple[int, str] | None = None,
        prepare: str = "",
    ) -> None:
        """`needs` has the programs and how to install them; `max_files` the maximum number of files, and the reason.

        `prepare` is a script that runs before the measured time.
        """
        self.name = name
        self.copies = copies
        self._script = script
        self._servers = servers
        self._needs = needs
        self._max_files = max_files
        self._prepare = prepare

    def missing(self) -> str | None:
        """Return how to install it."""
        return next((how for program, how in self._needs.items() if shutil.which(program) is None), None)

    def reason_to_skip(self, work: Work) -> str | None:
        """Return why it does not do this work."""
        if work.is_unchanged or work.is_span:
            return COPIES_AGAIN if work.is_unchanged else LISTS_NO_LINKS
        return self._max_files[1] if self._max_files and work.files > self._max_files[0] else None

    def run(self, job: Job) -> Cost:
        """Start it for each file, `at_once` at a time."""
        lines = "".join(f"{link} {name}\n" for link, name in zip(job.links, job.names, strict=True))
        env = environment(self._servers) | {"SIZE": str(job.size_bytes)}
        subprocess.run(["sh", "-c", self._prepare], env=env, check=True)  # noqa: S607 - found on the PATH
        began = time.monotonic()
        process = subprocess.Popen(
            ["xargs", "-P", str(job.at_once), "-n", "2", "sh", "-c", self._script, "sh"],  # noqa: S607 - found on the PATH
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stderr is not None
        with PeakMemory(process.pid) as memory:
            process.stdin.write(lines.encode())
            process.stdin.close()
            errors = process.stderr.read().decode(errors="replace").strip()
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return Cost(
            time.monotonic() - began,
            usage.ru_utime + usage.ru_stime,
            memory.peak_bytes,
            errors[-300:] or f"exit {process.returncode}" if process.returncode else None,
        )

    def stop(self) -> None:
        """Do nothing: no process is left."""


class LibraryPeer:
    """A Python library in a process of its own; as for the function, its start is not measured."""

    def __init__(
        self, name: str, way: str, servers: Servers, *, lists_links: bool = False, is_ceiling: bool = False
    ) -> None:
        """`way` is a name in `library_peers.WAYS`; one that `lists_links` does only spans, the others do no spans.

        A ceiling copies one large file.
        """
        self.name = name
        self.copies = not is_ceiling
        self._way = way
        self._lists_links = lists_links
        self._servers = servers
        self._process: subprocess.Popen[str] | None = None

    def missing(self) -> str | None:
        """Return None: bench/requirements.txt has the libraries."""
        return None

    def reason_to_skip(self, work: Work) -> str | None:
        """Return why it does not do this work."""
        if work.is_unchanged:
            return COPIES_AGAIN
        if not self.copies and (work.files > 1 or work.is_small):
            return "shown with one large file"
        if work.is_span == self._lists_links:
            return None
        return LISTS_LINKS if self._lists_links else LISTS_NO_LINKS

    def run(self, job: Job) -> Cost:
        """Copy with one thread for each concurrent file."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        forget_peak(process.pid)
        cpu_before_s, began = cpu_s(process.pid), time.monotonic()
        process.stdin.write(json.dumps(asdict(job)) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline().strip()
        seconds = time.monotonic() - began
        return Cost(
            seconds,
            cpu_s(process.pid) - cpu_before_s,
            memory_bytes(process.pid),
            None if answer == "done" else answer or "the process ended",
        )

    def stop(self) -> None:
        """Stop the process."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait()
            self._process = None

    def _start(self) -> "subprocess.Popen[str]":
        self._process = subprocess.Popen(
            [PYTHON, "-m", "bench.library_peers", self._way],
            cwd=REPOSITORY,
            env=environment(self._servers),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()
        return self._process


_BEGIN = (
    "session=$(curl -sSf -d '' -o /dev/null -w '%header{location}' "
    '"$BUCKET_SERVER/upload/storage/v1/b/$BUCKET/o?uploadType=resumable&name=$2") && '
)
_CURL = {"curl": "apt-get install curl"}


def ceilings(servers: Servers) -> list[Peer]:
    """Return the peers that show how fast the servers are alone."""
    large = (8, "shown with the large files")
    return [
        CommandPeer(
            "ceiling: curl, receive only",
            'curl -sSf -o /dev/null "$1"',
            servers,
            needs=_CURL,
            copies=False,
            max_files=large,
        ),
        CommandPeer(
            "ceiling: curl, send only",
            f'{_BEGIN} curl -sSf -T "$HOME/file" -o /dev/null "$session"',
            servers,
            needs=_CURL,
            copies=False,
            max_files=large,
            prepare='truncate -s "$SIZE" "$HOME/file" && cat "$HOME/file" > /dev/null',
        ),
        LibraryPeer("ceiling: Python's ssl alone, receive and send", "bare_sockets", servers, is_ceiling=True),
    ]


def others(servers: Servers) -> list[Peer]:
    """Return the peers, the fastest first."""
    return [
        CommandPeer(
            "`curl LINK \\| curl -T - SESSION`",
            f'{_BEGIN} curl -sSf "$1" | curl -sSf -T - -o /dev/null "$session"',
            servers,
            needs=_CURL,
        ),
        CommandPeer(
            "`rclone copyurl`",
            'rclone copyurl "$1" ":gcs:$BUCKET/$2"',
            servers,
            needs={"rclone": "apt-get install rclone"},
        ),
        LibraryPeer("google-cloud-storage `upload_from_string`", "upload_from_string", servers),
        LibraryPeer("google-cloud-storage `upload_from_file(size=)`", "upload_from_file", servers),
        LibraryPeer("google-cloud-storage `blob.open` + `copyfileobj`", "blob_open", servers),
        LibraryPeer("gcsfs `open` + `copyfileobj`", "gcsfs_open", servers),
        LibraryPeer(f"plain script, {AT_ONCE} threads", "plain_script", servers, lists_links=True),
        CommandPeer(
            "`curl LINK \\| gcloud storage cp -`",
            'curl -sSf "$1" | gcloud storage cp - "gs://$BUCKET/$2"',
            servers,
            needs={"gcloud": "https://cloud.google.com/sdk/docs/install"},
            max_files=(1, "starts once for each file, which takes seconds of processor time"),
        ),
    ]
