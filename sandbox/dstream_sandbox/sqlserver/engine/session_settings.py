"""SET options of a session and their defaults (Microsoft Learn, "SET statements (Transact-SQL)")."""

from __future__ import annotations

from dataclasses import dataclass

from dstream_sandbox.sqlserver.engine.errors import unsupported

_ACCEPTED_TEXT = """
    ANSI_NULLS ANSI_PADDING ANSI_WARNINGS ANSI_DEFAULTS ANSI_NULL_DFLT_ON ANSI_NULL_DFLT_OFF ARITHABORT
    ARITHIGNORE CONCAT_NULL_YIELDS_NULL CURSOR_CLOSE_ON_COMMIT DATEFIRST DATEFORMAT DEADLOCK_PRIORITY LANGUAGE
    NUMERIC_ROUNDABORT QUOTED_IDENTIFIER TEXTSIZE CONTEXT_INFO FORCEPLAN REMOTE_PROC_TRANSACTIONS
    QUERY_GOVERNOR_COST_LIMIT
"""
_ACCEPTED = frozenset(_ACCEPTED_TEXT.split())
_FIXED = {
    "ANSI_NULLS": "ON", "CONCAT_NULL_YIELDS_NULL": "ON", "DATEFORMAT": "MDY", "DATEFIRST": "7", "ANSI_PADDING": "ON",
    "LANGUAGE": "US_ENGLISH", "NUMERIC_ROUNDABORT": "OFF",
}  # fmt: skip
"""Options that would change results: only the value that the sandbox implements is accepted."""
ISOLATION_LEVELS = {"READ UNCOMMITTED": 1, "READ COMMITTED": 2, "REPEATABLE READ": 3, "SERIALIZABLE": 4, "SNAPSHOT": 5}


@dataclass(slots=True)
class Settings:
    nocount: bool = False
    xact_abort: bool = False
    implicit_transactions: bool = False
    lock_timeout_ms: int = -1
    isolation: str = "READ COMMITTED"
    row_limit: int = 0
    no_execute: bool = False
    metadata_only: bool = False
    deadlock_priority: str = "NORMAL"
    text_size: int = 2_147_483_647

    def set(self, name: str, value: str) -> None:
        """SET name value. Raises the sandbox's error for a value that it does not implement."""
        on = value.upper() == "ON"
        match name:
            case "NOCOUNT":
                self.nocount = on
            case "XACT_ABORT":
                self.xact_abort = on
            case "IMPLICIT_TRANSACTIONS":
                self.implicit_transactions = on
            case "ANSI_DEFAULTS":
                self.implicit_transactions = on
            case "LOCK_TIMEOUT":
                self.lock_timeout_ms = int(value)
            case "TRANSACTION ISOLATION LEVEL":
                self.isolation = value
            case "NOEXEC" | "PARSEONLY":
                self.no_execute = on
            case "FMTONLY":
                self.metadata_only = on
            case "ROWCOUNT":
                self.row_limit = int(value)
            case "TEXTSIZE":
                self.text_size = int(value) if int(value) > 0 else 2_147_483_647
            case _:
                self._other(name, value)

    def _other(self, name: str, value: str) -> None:
        if name.startswith("STATISTICS") or name.startswith("SHOWPLAN"):
            if value.upper() == "ON":
                raise unsupported(f"SET {name}")
            return
        if name not in _ACCEPTED:
            raise unsupported(f"SET {name}")
        fixed = _FIXED.get(name)
        if fixed is not None and value.upper().strip("'") != fixed:
            raise unsupported(f"SET {name} {value}")
