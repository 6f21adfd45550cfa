"""sp_getapplock and sp_releaseapplock, for session owners (Microsoft Learn, "sp_getapplock (Transact-SQL)",
"sp_releaseapplock (Transact-SQL)")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.errors import unsupported
from dstream_sandbox.sqlserver.engine.system_procedures import argument, text_argument
from dstream_sandbox.sqlserver.session import Event, Param, ReturnStatus, SqlError

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession

_MODES = {"shared": "S", "exclusive": "X"}
_TIMEOUT, _DEADLOCK, _INVALID = -1, -3, -999


def get_lock(session: SqlSession, params: Sequence[Param]) -> Iterator[Event]:
    """Return 0 for a lock granted at once, 1 after waiting, -1 after @LockTimeout, -3 for a deadlock victim."""
    mode = _MODES.get((text_argument(params, "lockmode", 1) or "").lower())
    if mode is None:
        raise unsupported("application locks other than Shared and Exclusive")
    _require_session_owner(params, 2)
    timeout_ms = argument(params, "locktimeout", 3)
    wait_ms = session.settings.lock_timeout_ms if timeout_ms is None else int(str(timeout_ms))
    try:
        waited = session.engine.locks.acquire(session.application_locks, _resource(session, params), mode, wait_ms)
    except SqlError as error:
        if error.number not in (1222, 1205):
            raise
        yield ReturnStatus(_TIMEOUT if error.number == 1222 else _DEADLOCK)
        return
    yield ReturnStatus(int(waited))


def release_lock(session: SqlSession, params: Sequence[Param]) -> Iterator[Event]:
    """Return 0, or -999 if the session does not have the lock. Releases a lock that was taken several times at once;
    SQL Server needs as many calls."""
    _require_session_owner(params, 1)
    owner, resource = session.application_locks, _resource(session, params)
    modes = [*owner.held.get(resource, ())]
    for mode in modes:
        session.engine.locks.release(owner, resource, mode)
    yield ReturnStatus(0 if modes else _INVALID)


def _require_session_owner(params: Sequence[Param], position: int) -> None:
    if (text_argument(params, "lockowner", position) or "Transaction").lower() != "session":
        raise unsupported("application locks of transactions (@LockOwner = 'Transaction')")


def _resource(session: SqlSession, params: Sequence[Param]) -> tuple[str, str, str]:
    """Names are case-sensitive, and belong to the current database."""
    return ("application", session.home.name.lower(), text_argument(params, "resource", 0) or "")
