"""The objects that the periods of one call share."""

from dataclasses import dataclass

from analytics_export.bucket.bucket import Bucket
from analytics_export.bucket.manifests import Manifests
from analytics_export.logs import Log
from analytics_export.retries import Deadline
from analytics_export.source.download import Source
from analytics_export.source.export_service import ExportService
from analytics_export.transfer_pool import TransferPool


@dataclass(frozen=True)
class Services:
    """Shared by all threads of one call."""

    service: ExportService
    source: Source
    bucket: Bucket
    manifests: Manifests
    pool: TransferPool
    deadline: Deadline
    analytics_id: str
    log: Log
