"""System procedures outside CDC and the drivers' catalog procedures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.catalog import rights
from dstream_sandbox.sqlserver.engine.catalog.naming import split_name
from dstream_sandbox.sqlserver.engine.cdc.catalog import enable_job, has_job
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.session import Column, Columns, Done, Event, Param, Rows, SqlError

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession

SystemProcedure = Callable[["SqlSession", Sequence[Param]], Iterator[Event]]


def argument(params: Sequence[Param], name: str, position: int, default: object = None) -> object:
    """Return an argument by name (without @) or position."""
    for param in params:
        if param.name.lower() == f"@{name}":
            return param.value
    positional = [p for p in params if not p.name]
    return positional[position].value if position < len(positional) else default


def text_argument(params: Sequence[Param], name: str, position: int, default: str | None = None) -> str | None:
    value = argument(params, name, position, default)
    return None if value is None else str(value)


def result(columns: Sequence[tuple[str, object]], rows: Sequence[tuple[object, ...]]) -> Iterator[Event]:
    """Yield a result set."""
    yield Columns(tuple(Column(name, type_) for name, type_ in columns))  # type: ignore[arg-type]
    if rows:
        yield Rows(list(rows))  # type: ignore[arg-type]  # values of values.py
    yield Done(len(rows), is_select=True)


def _rename(session: SqlSession, params: Sequence[Param]) -> Iterator[Event]:
    from dstream_sandbox.sqlserver.engine.definitions import rename

    old, new = text_argument(params, "objname", 0), text_argument(params, "newname", 1)
    kind = (text_argument(params, "objtype", 2) or "OBJECT").upper()
    if old is None or new is None:
        raise SqlError(201, "Procedure or function 'sp_rename' expects parameter '@objname', which was not supplied.")
    rename(session, split_name(old), new, kind)
    yield from ()


def _who(session: SqlSession, params: Sequence[Param]) -> Iterator[Event]:
    rows = [(s.spid, s.status, s.login, s.host, s.database) for s in session.engine.sessions()]
    columns = [
        ("spid", names.SMALLINT),
        ("status", names.SYSNAME),
        ("loginame", names.SYSNAME),
        ("hostname", names.SYSNAME),
        ("dbname", names.SYSNAME),
    ]
    yield from result(columns, rows)


def _job(running: bool) -> SystemProcedure:
    def procedure(session: SqlSession, params: Sequence[Param]) -> Iterator[Event]:
        """msdb's sp_start_job and sp_stop_job for a capture job `cdc.<database>_capture`."""
        name = text_argument(params, "job_name", 0) or ""
        database = name.removeprefix("cdc.").removesuffix("_capture")
        home = session.engine.database(database)
        if home is None or not name.endswith("_capture") or not has_job(home, "capture"):
            raise SqlError(14262, f"The specified @job_name ('{name}') does not exist.")
        session.engine.capture.set_running(home, running)
        yield from ()

    return procedure


def _update_job(session: SqlSession, params: Sequence[Param]) -> Iterator[Event]:
    """msdb's sp_update_job for @enabled: stored and shown in msdb.dbo.sysjobs."""
    name = text_argument(params, "job_name", 0) or ""
    for database in session.engine.databases():
        for kind in ("capture", "cleanup"):
            if name.lower() == f"cdc.{database.name}_{kind}".lower() and has_job(database, kind):
                enable_job(database, kind, enabled=bool(argument(params, "enabled", 1)))
                return iter(())
    raise SqlError(14262, f"The specified @job_name ('{name}') does not exist.")


def _capture_error(session: SqlSession, params: Sequence[Param]) -> Iterator[Event]:
    """Of the sandbox only: make a log scan fail with @number and @message."""
    rights.require_sysadmin(session, "sp_sandbox_capture_error")
    number, message = argument(params, "number", 0), text_argument(params, "message", 1)
    session.engine.capture.fail(session.home, int(str(number)), message or "")
    yield from ()


def _role_member(add: bool) -> SystemProcedure:
    def procedure(session: SqlSession, params: Sequence[Param]) -> Iterator[Event]:
        from dstream_sandbox.sqlserver.engine.catalog import principals

        role, member = text_argument(params, "rolename", 0) or "", text_argument(params, "membername", 1) or ""
        principals.change_member(session, role, member, add=add)
        yield from ()

    return procedure


def _nothing(session: SqlSession, params: Sequence[Param]) -> Iterator[Event]:
    return iter(())


def _application_lock(name: str) -> SystemProcedure:
    def procedure(session: SqlSession, params: Sequence[Param]) -> Iterator[Event]:
        from dstream_sandbox.sqlserver.engine import application_locks

        get = name == "sp_getapplock"
        yield from (application_locks.get_lock if get else application_locks.release_lock)(session, params)

    return procedure


SYSTEM_PROCEDURES: dict[str, SystemProcedure] = {
    "sp_rename": _rename,
    "sp_who": _who,
    "sp_who2": _who,
    "sp_start_job": _job(True),
    "sp_update_job": _update_job,
    "sp_sandbox_capture_error": _capture_error,
    "sp_stop_job": _job(False),
    "sp_addrolemember": _role_member(True),
    "sp_droprolemember": _role_member(False),
    "sp_reset_connection": _nothing,
    "sp_updatestats": _nothing,
    "sp_getapplock": _application_lock("sp_getapplock"),
    "sp_releaseapplock": _application_lock("sp_releaseapplock"),
}
