"""Stand-ins for all four services in this process: export service, Cloud Storage, Secret Manager, Cloud Tasks.

    with Stack() as stack, FunctionProcess(stack.function_env()) as function:
        function.post({"aggregation": "granular", "frequency": "daily", "date": "2022-04-01"})
        stack.storage.objects(stack.bucket)
        stack.tasks.queue.targets = [function.url]  # from now on tasks are delivered

If the environment has `STORAGE_EMULATOR_HOST`, the destination is that Cloud Storage; the source stays here.
"""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from google.api_core.exceptions import Conflict
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage as google_storage

from local.clock import Clock
from local.export_service import ExportService
from local.faults import Faults
from local.secret_manager import SecretManager
from local.storage.storage import Storage
from local.tasks.cloud_tasks import CloudTasks

ANALYTICS_ID = "local-analytics-id"
API_KEY = "local-api-key-0123456789"
SECRET = "projects/local/secrets/usercentrics-api-key"  # noqa: S105 - a secret's name
BUCKET = "usercentrics-exports"
QUEUE = "projects/local/locations/europe-west3/queues/analytics-export"


class Stack:
    """All stand-ins; `with` starts and stops them. Each takes a free port unless one is given.

    storage: Cloud Storage; `objects`, `put`, `delete`, `read`, `on_change`, `requests`, `links`, `page_size`,
    `lose_sessions`, `hang_up`
    exports: the export service; `put`, `remove`, `files`, `links`, `keys`, `link_life_s`, `v1_form`,
    `requests`
    secrets: Secret Manager; `add_version`, `disable`, `remove`, `requests`
    tasks: Cloud Tasks; `queue` (`targets`, `tasks`, `pause`, `purge`, `wait_until_empty`, limits), `add_queue`,
    `remove_queue`, `requests`
    faults: fault switches for all of them
    clock: the time for the export service
    """

    def __init__(  # noqa: PLR0913 - a port for each stand-in
        self,
        *,
        root: Path | None = None,
        rows: int = 1000,
        shards: int = 3,
        least_bytes: int = 0,
        bucket: str = BUCKET,
        storage_port: int = 0,
        exports_port: int = 0,
        secrets_port: int = 0,
        tasks_port: int = 0,
    ) -> None:
        """`root` is the folder of the buckets; by default a temporary one, removed at the end."""
        self._temporary = None if root else Path(tempfile.mkdtemp(prefix="local-stack-"))
        self.root = root or self._temporary or Path()
        self.bucket = bucket
        self.faults = Faults()
        self.clock = Clock()
        self.storage = Storage(self.root, faults=self.faults, port=storage_port)
        self.exports = ExportService(
            self.storage,
            clock=self.clock,
            faults=self.faults,
            analytics_id=ANALYTICS_ID,
            api_key=API_KEY,
            rows=rows,
            shards=shards,
            least_bytes=least_bytes,
            port=exports_port,
        )
        self.secrets = SecretManager(faults=self.faults, port=secrets_port)
        self.secrets.add_version(SECRET, API_KEY)
        self.tasks = CloudTasks(QUEUE, faults=self.faults, port=tasks_port)
        self.storage_host = os.environ.get("STORAGE_EMULATOR_HOST") or self.storage.url
        """The address of the destination."""

    def reset(self) -> None:
        """Restore the state after the start: no fault, report, object, observer or logged request is left."""
        self.faults.clear()
        self.faults.reset_counts()
        self.tasks.reset()
        self.clock.fixed = None
        self.exports.reset()
        self.storage.reset()
        self.secrets.remove(SECRET)
        self.secrets.add_version(SECRET, API_KEY)
        if not self.is_destination_ours:
            for blob in self.client().list_blobs(self.bucket):
                blob.delete()
        for log in (self.exports.requests, self.storage.requests, self.secrets.requests):
            log.clear()

    @property
    def is_destination_ours(self) -> bool:
        """False if the destination is another Cloud Storage: fault switches and observers do not reach it."""
        return self.storage_host == self.storage.url

    def __enter__(self) -> Self:
        """Start everything and make the destination bucket."""
        self.storage.start()
        self.exports.start()
        self.secrets.start()
        self.tasks.start()
        if self.is_destination_ours:
            self.storage.create_bucket(self.bucket)
        else:
            with contextlib.suppress(Conflict):
                self.client().create_bucket(self.bucket)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything, and remove the temporary folder."""
        self.faults.clear()
        self.tasks.stop()
        self.exports.stop()
        self.storage.stop()
        self.secrets.stop()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def client(self) -> google_storage.Client:
        """Google's own client for the destination."""
        client = google_storage.Client(
            project="local",
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call] # ships no types
            client_options={"api_endpoint": self.storage_host},
        )
        client._bucket_metadata_cache = None  # noqa: SLF001 - else it requests the bucket some time after a 404
        return client

    def function_env(self, *, api_version: str = "v2") -> dict[str, str]:
        """The function's settings for this stack; a test may add or remove some."""
        base = f"{self.exports.url}/api" if api_version == "v1" else self.exports.url
        return {
            "ANALYTICS_ID": ANALYTICS_ID,
            "BUCKET": self.bucket,
            "API_KEY_SECRET": SECRET,
            "EXPORT_API_VERSION": api_version,
            "EXPORT_SERVICE_URL": base,
            "DOWNLOAD_ORIGINS": self.storage.url,
            "STORAGE_EMULATOR_HOST": self.storage_host,
            "SECRET_MANAGER_EMULATOR_HOST": self.secrets.host,
            "TASKS_QUEUE": QUEUE,
            "CLOUD_TASKS_EMULATOR_HOST": self.tasks.host,
        }
