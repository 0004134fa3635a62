"""Is the set-up right? Tries each part, side by side, in bounded time, without changing anything."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date

from analytics_export.app import App
from analytics_export.bucket.bucket import PERMISSIONS
from analytics_export.check import Check
from analytics_export.errors import DeadlineReached, ExportError, Misconfigured, NotAvailableYet, UpstreamUnavailable
from analytics_export.periods import Aggregation, Export, Frequency, available_within
from analytics_export.retries import Clock, Deadline
from analytics_export.source.api_key import ApiKey
from analytics_export.source.export_service import ExportService

CHECK_S = 6.0
"""The longest that a part may take, in seconds: far more than a working service needs."""
PARTS_AT_ONCE = 4


def checks(app: App) -> list[Check]:
    """Try every part of the set-up and return the results, in the order of `check.NAMES`."""
    settings = app.settings
    # The key is read again here, within a shorter time; a run in progress does not wait for it.
    key = ApiKey(settings.api_key_secret_version, emulator=settings.secret_manager_emulator, budget_s=CHECK_S)
    with ThreadPoolExecutor(PARTS_AT_ONCE, thread_name_prefix="check") as pool:
        secret = pool.submit(_tried, app, "secret", lambda _: _secret(app, key))
        found = [
            secret,
            pool.submit(_after, secret, lambda: _tried(app, "export_service", lambda left: _service(app, key, left))),
            pool.submit(_tried, app, "bucket", lambda left: _bucket(app, left)),
        ]
        if settings.tasks_queue is not None:
            found.append(pool.submit(_tried, app, "queue", lambda _: _queue(app)))
        return [Check("settings", "All have the form that they must have."), *(each.result() for each in found)]


def _tried(app: App, name: str, work: Callable[[Deadline], str]) -> Check:
    try:
        return Check(name, app.within(CHECK_S, work))
    except DeadlineReached as error:
        reason = error.detail.removesuffix(" The run's time is over. Call again.")
        late = UpstreamUnavailable(f"Not found out within {CHECK_S:.0f} s; try again. {reason}")
        return Check(name, late.detail, late)
    except ExportError as error:
        return Check(name, error.detail, error)


def _after(secret: "Future[Check]", work: Callable[[], Check]) -> Check:
    error = secret.result().error
    return work() if error is None else Check("export_service", "Not tried: it needs the API key.", error)


def _secret(app: App, key: ApiKey) -> str:
    key.value()
    return f"{app.settings.api_key_secret_version} can be read and holds one printable line."


def _service(app: App, key: ApiKey, deadline: Deadline) -> str:
    """Ask for the last day that is due. A 404 also shows that the key was accepted."""
    clock = Clock()
    day = next(available_within(Frequency.DAILY, first=date.min, last=date.max, now=clock.now()))
    export = Export(Aggregation.GRANULAR, day)
    try:
        listing = ExportService(app.settings, key, app.session, deadline).listing(export)
    except NotAvailableYet:
        return f"The key is accepted; {export.file_prefix} is not there, which may be so."
    return f"The key is accepted; {export.file_prefix} has {len(listing.file_names)} files."


def _bucket(app: App, deadline: Deadline) -> str:
    name = app.settings.bucket
    missing = app.bucket(deadline).missing_permissions()
    if missing:
        raise Misconfigured(
            f"BUCKET: the function's service account lacks {', '.join(missing)} on {name}. Grant it the role: "
            f"gcloud storage buckets add-iam-policy-binding gs://{name} --member=serviceAccount:ACCOUNT "
            "--role=roles/storage.objectUser"
        )
    return f"gs://{name} grants {', '.join(PERMISSIONS)}."


def _queue(app: App) -> str:
    app.task_queue.check_access(timeout_s=CHECK_S)
    return f"{app.settings.tasks_queue} takes tasks from the function."
