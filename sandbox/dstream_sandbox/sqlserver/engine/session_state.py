"""Values of @@ variables and of functions without arguments."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine import clock
from dstream_sandbox.sqlserver.engine.catalog import rights
from dstream_sandbox.sqlserver.engine.types.rounding import to_datetime
from dstream_sandbox.sqlserver.engine.version import MICROSOFT_VERSION, VERSION_TEXT
from dstream_sandbox.sqlserver.values import DateTimeOffset, Value

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession


def session_value(session: SqlSession, name: str) -> Value:
    """Return the value in values.py's form, of the type that SESSION_VALUES declares."""
    match name:
        case "now" | "utcnow":
            return to_datetime(clock.now_ticks())
        case "now2" | "utcnow2":
            return clock.now_ticks()
        case "nowoffset":
            return DateTimeOffset(clock.now_ticks(), 0)
        case "@@rowcount" | "rowcount_big":
            return session.row_count
        case "@@error":
            return session.last_error
        case "@@trancount":
            return session.nesting
        case "@@spid":
            return session.spid
        case "@@identity" | "scope_identity":
            return None if session.last_identity is None else Decimal(session.last_identity)
        case "@@dbts":
            return session.home.log.current().to_bytes(8, "big")
        case "database":
            return session.home.name
        case "database_id":
            return session.home.database_id
        case "login":
            return session.login
        case "user":
            user = rights.user_of(session)
            return "dbo" if session.engine.is_sysadmin(session.login) else user.name if user else "guest"
        case "schema":
            return "dbo"
        case "host":
            return session.host
        case "app":
            return session.app
        case "xact_state":
            return 0 if session.transaction is None else -1 if session.transaction.doomed else 1
        case "transaction_id":
            return session.transaction.id if session.transaction is not None else 0
        case "random":
            return random.random()
        case "@@lock_timeout":
            return session.settings.lock_timeout_ms
        case "@@nestlevel":
            return session.depth
        case "@@textsize":
            return session.settings.text_size
    return _error_value(session, name) if name.startswith("error_") else _CONSTANTS.get(name)


def _error_value(session: SqlSession, name: str) -> Value:
    """ERROR_NUMBER() and similar functions: NULL outside a CATCH block."""
    if not session.caught:
        return None
    error, line, procedure = session.caught[-1]
    values: dict[str, Value] = {
        "error_number": error.number,
        "error_message": error.text,
        "error_severity": error.severity,
        "error_state": error.state,
        "error_line": line,
        "error_procedure": procedure or None,
    }
    return values[name]


_CONSTANTS: dict[str, Value] = {
    "@@version": VERSION_TEXT,
    "@@microsoftversion": MICROSOFT_VERSION,
    "@@servername": "SANDBOX",
    "@@servicename": "MSSQLSERVER",
    "@@language": "us_english",
    "@@langid": 0,
    "@@datefirst": 7,
    "@@max_precision": 38,
    "@@procid": 0,
    "@@options": 5496,
    "@@max_connections": 32767,
    "@@fetch_status": 0,
    "@@cursor_rows": 0,
    "@@remserver": None,
}
