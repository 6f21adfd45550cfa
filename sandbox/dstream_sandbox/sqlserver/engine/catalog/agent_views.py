"""SQL Server Agent: its service, and the tables of msdb about the two CDC jobs of each database.

Microsoft Learn: "dbo.cdc_jobs", "dbo.sysjobs", "dbo.sysjobactivity" (a job runs if its last activity has a start and no
stop).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dstream_sandbox.sqlserver.engine.catalog.system_views import view
from dstream_sandbox.sqlserver.engine.cdc.catalog import is_job_enabled
from dstream_sandbox.sqlserver.engine.cdc.instances import system_table
from dstream_sandbox.sqlserver.engine.types.rounding import to_datetime

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.database import Database
    from dstream_sandbox.sqlserver.engine.session import SqlSession

Row = tuple[Any, ...]


@view(
    "sys.dm_server_services",
    "servicename:n startup_type:i startup_type_desc:n status:i status_desc:n process_id:i "
    "last_startup_time:o service_account:n is_clustered:n",
    server_wide=True,
    needs="VIEW SERVER SECURITY STATE",
)
def dm_server_services(session: SqlSession) -> Iterator[Row]:
    """SQL Server Agent runs capture, so it shows as stopped if the current database's capture job is stopped."""
    running = session.engine.capture.is_running(session.home)
    agent = (4, "Running") if running else (1, "Stopped")
    yield "SQL Server (MSSQLSERVER)", 2, "Automatic", 4, "Running", None, None, "sandbox", "N"
    yield "SQL Server Agent (MSSQLSERVER)", 2, "Automatic", *agent, None, None, "sandbox", "N"


def _jobs(session: SqlSession) -> Iterator[tuple[Database, Row]]:
    """Each database with the rows of its cdc_jobs."""
    for database in session.engine.databases():
        if database.options.cdc_enabled:
            with database.commit_lock:
                query = f"SELECT c1,c2,c3,c4,c5,c6,c7,c8,c9 FROM t{system_table(database, 'cdc_jobs').id}"
                rows = database.admin.execute(query).fetchall()
            yield from ((database, row) for row in rows)


@view(
    "msdb.dbo.cdc_jobs",
    "database_id:i job_type:n job_id:g maxtrans:i maxscans:i continuous:b pollinginterval:l retention:l threshold:l",
    server_wide=True,
    needs="SELECT",
)
def cdc_jobs(session: SqlSession) -> Iterator[Row]:
    return (row for _, row in _jobs(session))


@view("msdb.dbo.sysjobs", "job_id:g name:n enabled:t", server_wide=True, needs="SELECT")
def sysjobs(session: SqlSession) -> Iterator[Row]:
    for database, (_, kind, job_id, *_rest) in _jobs(session):
        yield job_id, f"cdc.{database.name}_{kind}", int(is_job_enabled(database, kind))


@view(
    "msdb.dbo.sysjobactivity",
    "session_id:i job_id:g run_requested_date:d start_execution_date:d stop_execution_date:d",
    server_wide=True,
    needs="SELECT",
)
def sysjobactivity(session: SqlSession) -> Iterator[Row]:
    started, scanned = to_datetime(session.engine.started), to_datetime(session.engine.capture.last_scan)
    for database, (_, kind, job_id, *_rest) in _jobs(session):
        running = kind == "capture" and session.engine.capture.is_running(database)
        yield 1, job_id, started, started, None if running else scanned
