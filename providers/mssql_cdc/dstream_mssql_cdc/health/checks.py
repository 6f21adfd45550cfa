"""The findings of `dstream doctor` about capture and the checkpoint. Pure: facts in, findings out.

Every finding that is not ok has the T-SQL that fixes it, with the real names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dstream.sdk import Finding
from dstream.sdk.errors import DStreamError
from dstream_mssql_cdc.errors import add_owner
from dstream_mssql_cdc.health.facts import CaptureError, CdcJob, ChangeTableSizes, Denied, Platform, TimeToLoss
from dstream_mssql_cdc.server.sql import literal, quoted

_SHORT_RETENTION_S = 24 * 3600
_DEFAULT_RETENTION_S = 3 * 24 * 3600
"""Of "sys.sp_cdc_add_job"."""
_HIGH_LATENCY_S = 300


def server(where: Platform, address: str) -> Finding:
    replica = ", a readable secondary" if where.is_read_only else ""
    return Finding("ok", "server", f"{where.kind} {where.version}, {where.edition}, at {address}{replica}")


def login(where: Platform) -> Finding:
    return Finding("ok", "login", f"{where.login}, user {where.user} in database {where.database}")


def owner(is_owner: bool, where: Platform) -> Finding:
    """The right to create and drop capture instances ("sys.sp_cdc_enable_table", Permissions)."""
    if is_owner:
        return Finding("ok", "capture instances", f"managed: {where.user} is in db_owner")
    text = f"manage_capture_instances is set, but {where.user} is not in db_owner"
    return Finding("failure", "capture instances", text, f"Grant it {_in(where)}{add_owner(where.user)}")


def to_be_captured(problem: DStreamError) -> Finding:
    return Finding("ok", "tables", f"{problem.message}: the next run enables it")


def agent(status: str | Denied | None, where: Platform) -> Iterator[Finding]:
    if isinstance(status, Denied):
        yield Finding(
            "warning",
            "SQL Server Agent",
            f"cannot check whether it is running: {status.message}",
            f"In master, as an administrator:\nGRANT VIEW SERVER STATE TO {quoted(where.login)};",
        )
    elif status == "Running":
        yield Finding("ok", "SQL Server Agent", "running")
    elif status is not None:
        yield Finding(
            "warning",
            "SQL Server Agent",
            f"{status.lower()}: no changes are captured",
            "Start the SQL Server Agent service.",
        )


def jobs(found: Mapping[str, CdcJob] | Denied, where: Platform) -> Iterator[Finding]:
    if isinstance(found, Denied):
        yield Finding(
            "warning",
            "jobs",
            "cannot check the capture and cleanup jobs, the retention and the time to loss: " + found.message,
            _grant_on_jobs(where),
        )
        return
    for kind in ("capture", "cleanup"):
        yield _job(kind, found.get(kind), where)
    if cleanup := found.get("cleanup"):
        yield retention(cleanup.retention_min * 60, where)


def _job(kind: str, job: CdcJob | None, where: Platform) -> Finding:
    subject = f"{kind} job"
    if job is None:
        text = {
            "capture": "does not exist: no changes are captured, unless the database is published for transactional "
            "replication, whose Log Reader Agent captures them",
            "cleanup": "does not exist: the change tables grow without limit",
        }[kind]
        return Finding(
            "warning", subject, text, f"Create it {_in(where)}EXEC sys.sp_cdc_add_job @job_type = {literal(kind)};"
        )
    if not where.has_agent_jobs:
        return Finding("ok", subject, "scheduled by Azure SQL Database")
    if not job.name:
        # cdc_jobs names a job that sysjobs does not have, e.g. after msdb was restored.
        fix = (
            f"Create it again, {_in(where)}EXEC sys.sp_cdc_drop_job @job_type = {literal(kind)};\n"
            f"EXEC sys.sp_cdc_add_job @job_type = {literal(kind)};"
        )
        return Finding("warning", subject, "is listed in msdb.dbo.cdc_jobs, but SQL Server Agent has no such job", fix)
    if not job.is_enabled:
        fix = f"EXEC msdb.dbo.sp_update_job @job_name = {literal(job.name)}, @enabled = 1;"
        return Finding("warning", subject, f"{job.name} is disabled", fix)
    if kind == "capture" and not job.is_running:
        fix = f"EXEC msdb.dbo.sp_start_job {literal(job.name)};"
        return Finding("warning", subject, f"{job.name} is not running: no changes are captured", fix)
    return Finding("ok", subject, f"{job.name} is {'running' if job.is_running else 'enabled'}")


def retention(seconds: float, where: Platform) -> Finding:
    text = f"changes are kept for {span(seconds)}"
    if seconds >= _SHORT_RETENTION_S:
        return Finding("ok", "retention", text)
    text += ": a task that is stopped for longer loses changes"
    return Finding("warning", "retention", text, keep_longer(_DEFAULT_RETENTION_S, where))


def state_denied(denied: Denied, where: Platform) -> Finding:
    return Finding(
        "warning",
        "capture state",
        f"cannot check capture errors, capture latency and the sizes of the change tables: {denied.message}",
        f"Grant it {_in(where)}GRANT VIEW DATABASE STATE TO {quoted(where.user)};",
    )


def errors(found: Sequence[CaptureError]) -> Finding:
    if not found:
        return Finding("ok", "capture errors", "none in the last 24 h")
    last = found[-1]
    count = "1 error" if len(found) == 1 else f"{len(found)} errors"
    return Finding(
        "warning",
        "capture errors",
        f"{count} in the last 24 h, the last at {last.at:%Y-%m-%d %H:%M:%S}: {last.number}: {last.message}",
        "Fix the cause; the next log scan captures what failed. To list all errors:\nSELECT * FROM sys.dm_cdc_errors;",
    )


def latency(seconds: int | None, where: Platform) -> Finding:
    if seconds is None:
        return Finding("ok", "capture latency", "unknown: no log scan has ended since the server started")
    text = f"{span(seconds)} in the last log scan"
    if seconds < _HIGH_LATENCY_S:
        return Finding("ok", "capture latency", text)
    restart = "EXEC sys.sp_cdc_stop_job @job_type = N'capture';\nEXEC sys.sp_cdc_start_job @job_type = N'capture';"
    return Finding(
        "warning",
        "capture latency",
        f"{text}: capture does not keep up",
        f"Let each scan read more transactions, {_in(where)}"
        "EXEC sys.sp_cdc_change_job @job_type = N'capture', @maxtrans = 5000, @maxscans = 100;"
        + (f"\n{restart}" if where.has_agent_jobs else ""),
    )


def change_tables(found: ChangeTableSizes) -> Finding:
    tables = "1 change table" if found.tables == 1 else f"{found.tables:,} change tables"
    return Finding("ok", "change tables", f"{tables}, {found.rows:,} rows, {_size(found.kib)}")


def time_to_loss(loss: TimeToLoss, where: Platform) -> Finding:
    if loss.unread_s is None:
        return Finding("ok", "time to loss", f"{span(loss.left_s)}: all captured changes have been read")
    text = f"{_oldest(loss.unread_s)} old and kept for {span(loss.retention_s)}"
    if not loss.is_short:
        return Finding("ok", "time to loss", f"{span(loss.left_s)}: {text}")
    left = f"{span(loss.left_s)} left" if loss.left_s > 0 else "none left: the next cleanup removes unread changes"
    return Finding(
        "warning", "time to loss", f"{left}: {text}", f"Run the task. {keep_longer(2 * loss.retention_s, where)}"
    )


def unknown_time_to_loss(unread_s: float | None) -> Finding:
    """Without the retention."""
    oldest = "all captured changes have been read" if unread_s is None else f"{_oldest(unread_s)} old"
    return Finding("ok", "time to loss", f"unknown without the retention: {oldest}")


def _oldest(unread_s: float) -> str:
    return f"the oldest unread change is {span(unread_s)}"


def keep_longer(seconds: float, where: Platform) -> str:
    """ "sys.sp_cdc_change_job": a job reads its settings when it starts, which cleanup does for every run."""
    return (
        f"To keep changes longer: {_in(where)}"
        f"EXEC sys.sp_cdc_change_job @job_type = N'cleanup', @retention = {round(seconds / 60)};  -- minutes"
    )


def span(seconds: float) -> str:
    """A length of time for people: 3 d, 2 h 5 min, 40 s."""
    left = max(0, round(seconds))
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def _grant_on_jobs(where: Platform) -> str:
    if not where.has_agent_jobs:
        return f"Grant it {_in(where)}GRANT SELECT ON SCHEMA::cdc TO {quoted(where.user)};"
    user = quoted(where.login)
    tables = ("cdc_jobs", "sysjobs", "sysjobactivity")
    grants = "\n".join(f"GRANT SELECT ON dbo.{table} TO {user};" for table in tables)
    return f"In msdb, as an administrator:\nCREATE USER {user} FOR LOGIN {user};\n{grants}"


def _in(where: Platform) -> str:
    return f"as db_owner, in {quoted(where.database)}:\n"


def _size(kib: float) -> str:
    for unit in ("KiB", "MiB", "GiB"):
        if kib < 1024:
            return f"{kib:,.0f} {unit}" if kib >= 10 or unit == "KiB" else f"{kib:,.1f} {unit}"
        kib /= 1024
    return f"{kib:,.1f} TiB"
