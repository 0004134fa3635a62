"""What a warm instance keeps, and how a call is put together from it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import requests
from google.cloud.storage import Client

from analytics_export.bucket.bucket import Bucket, connect
from analytics_export.bucket.layout import Layout
from analytics_export.config import Settings
from analytics_export.coverage import Coverage, CoverageRequest, coverage
from analytics_export.errors import TryAgainLater
from analytics_export.export_request import ExportRequest
from analytics_export.http import session
from analytics_export.inventory import summaries
from analytics_export.logs import Log
from analytics_export.report import ExportResult
from analytics_export.retries import Clock, Deadline
from analytics_export.run import PERIODS_AT_ONCE, Run
from analytics_export.services import Services
from analytics_export.source.api_key import ApiKey
from analytics_export.source.download import Source
from analytics_export.source.export_service import ExportService
from analytics_export.time_limit import TimeLimit
from analytics_export.transfer_pool import TransferPool

T = TypeVar("T")

COVERAGE_S = 60.0
"""A question of coverage takes well under a second; after so long, nobody waits for the answer any more."""


@dataclass(frozen=True)
class App:
    """Settings, the key, open connections. Safe to use from any thread."""

    settings: Settings
    api_key: ApiKey
    storage: Client
    session: requests.Session

    @classmethod
    def from_env(cls) -> "App":
        """Check the settings and open the clients; raises Misconfigured."""
        settings = Settings.from_env(os.environ)
        connections = settings.parallel_transfers + PERIODS_AT_ONCE
        return cls(
            settings,
            ApiKey(settings.api_key_secret_version, emulator=settings.secret_manager_emulator),
            connect(connections=connections),
            session(connections=connections),
        )

    def export(self, request: ExportRequest, log: Log) -> list[ExportResult]:
        """Bring in what is asked for and return how each export ended, in time whatever hangs."""
        deadline = Deadline(self.settings.deadline_s, Clock())
        services = self._services(deadline, log)
        run = Run(services, request)
        try:
            TimeLimit(deadline).run(run.work, every_second=services.pool.report_progress)
        except TryAgainLater as error:
            return run.results(unfinished=error)
        finally:
            run.close()
            services.pool.close()
        return run.results()

    def coverage(self, request: CoverageRequest) -> Coverage:
        """Return what is there and what is missing, or raise in time whatever hangs."""

        def work(deadline: Deadline) -> Coverage:
            found = summaries(self.bucket(deadline), request)
            return coverage(request, found, analytics_id=self.settings.analytics_id)

        return self.within(COVERAGE_S, work)

    def within(self, seconds: float, work: Callable[[Deadline], T]) -> T:
        """Return what `work` returns for a deadline of so many seconds, without any grace after it."""
        deadline = Deadline(seconds, Clock(), grace_s=0)
        return TimeLimit(deadline).run(lambda: work(deadline), every_second=lambda: None)

    def _services(self, deadline: Deadline, log: Log) -> Services:
        settings = self.settings
        return Services(
            service=ExportService(settings, self.api_key, self.session, deadline),
            source=Source(self.session, deadline, settings.stall_s),
            bucket=self.bucket(deadline),
            pool=TransferPool(deadline, settings.parallel_transfers),
            deadline=deadline,
            analytics_id=settings.analytics_id,
            log=log,
        )

    def bucket(self, deadline: Deadline) -> Bucket:
        """Return the bucket for one call."""
        return Bucket(
            self.storage,
            self.session,
            bucket=self.settings.bucket,
            layout=Layout(self.settings.object_prefix),
            stall_s=self.settings.stall_s,
            deadline=deadline,
        )
