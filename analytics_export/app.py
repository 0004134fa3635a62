"""What a warm instance keeps, and how it serves a call."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

import requests
from google.cloud.storage import Client

from analytics_export.bucket.bucket import Bucket
from analytics_export.bucket.cloud_storage import CloudStorage, connect
from analytics_export.bucket.layout import Layout
from analytics_export.bucket.manifests import Manifests
from analytics_export.config import Settings
from analytics_export.coverage import Coverage, CoverageRequest, coverage
from analytics_export.errors import Misconfigured, TryAgainLater
from analytics_export.export_request import ExportRequest, Purpose
from analytics_export.http import session
from analytics_export.inventory import summaries
from analytics_export.logs import Log
from analytics_export.planning import Planning
from analytics_export.report import ExportResult
from analytics_export.retries import Clock, Deadline
from analytics_export.run import PERIODS_AT_ONCE, Run
from analytics_export.services import Services
from analytics_export.source.api_key import ApiKey
from analytics_export.source.download import Source
from analytics_export.source.export_service import ExportService
from analytics_export.time_limit import TimeLimit
from analytics_export.transfer_pool import TransferPool

if TYPE_CHECKING:
    from analytics_export.tasks import TaskQueue

T = TypeVar("T")

COVERAGE_S = 60.0
"""A question of coverage takes well under a second; after this time it is answered 503."""


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
        """Copy, plan or enqueue what is asked for and return how each export ended, in time even when a service hangs.

        Raises Misconfigured for `enqueue` without a queue.
        """
        deadline = Deadline(self.settings.deadline_s, Clock())
        services = self._services(deadline, log)
        run = self._call(services, request)
        try:
            TimeLimit(deadline).run(run.work, every_second=services.pool.report_progress)
        except TryAgainLater as error:
            return run.results(unfinished=error)
        finally:
            run.close()
            services.pool.close()
        return run.results()

    def _call(self, services: Services, request: ExportRequest) -> Run | Planning:
        match request.purpose:
            case Purpose.EXPORT:
                return Run(services, request)
            case Purpose.DRY_RUN:
                return Planning(services, request, None)
            case Purpose.ENQUEUE:
                from analytics_export.fan_out import enqueue  # noqa: PLC0415 - loads the client of Cloud Tasks

                refresh = not request.skip_complete
                return Planning(
                    services,
                    request,
                    partial(enqueue, self.task_queue, refresh=refresh, deadline=services.deadline),
                )

    @cached_property
    def task_queue(self) -> "TaskQueue":
        """The queue that TASKS_QUEUE names; raises Misconfigured without one."""
        if self.settings.tasks_queue is None:
            raise Misconfigured(
                "TASKS_QUEUE is not set, and `enqueue` needs a queue. Let Terraform make it (queue.enabled), "
                "or set projects/PROJECT/locations/LOCATION/queues/QUEUE. Without one, ask for at most 400 periods."
            )
        from analytics_export.tasks import TaskQueue  # noqa: PLC0415 - likewise

        return TaskQueue(self.settings.tasks_queue, emulator=self.settings.cloud_tasks_emulator)

    def coverage(self, request: CoverageRequest) -> Coverage:
        """Return what is complete and what is missing; raises in time even when Cloud Storage hangs."""

        def work(deadline: Deadline) -> Coverage:
            found = summaries(Manifests(self.bucket(deadline)), request)
            return coverage(request, found, analytics_id=self.settings.analytics_id)

        return self.within(COVERAGE_S, work)

    def within(self, seconds: float, work: Callable[[Deadline], T]) -> T:
        """Return what `work` returns; its deadline has no grace after it."""
        deadline = Deadline(seconds, Clock(), grace_s=0)
        return TimeLimit(deadline).run(lambda: work(deadline), every_second=lambda: None)

    def _services(self, deadline: Deadline, log: Log) -> Services:
        settings = self.settings
        bucket = self.bucket(deadline)
        return Services(
            service=ExportService(settings, self.api_key, self.session, deadline),
            source=Source(self.session, deadline, settings.stall_s),
            bucket=bucket,
            manifests=Manifests(bucket),
            pool=TransferPool(deadline, settings.parallel_transfers),
            deadline=deadline,
            analytics_id=settings.analytics_id,
            log=log,
        )

    def bucket(self, deadline: Deadline) -> Bucket:
        """Return the bucket for one call."""
        return Bucket(
            CloudStorage(self.storage, self.settings.bucket, deadline),
            self.session,
            layout=Layout(self.settings.object_prefix),
            stall_s=self.settings.stall_s,
        )
