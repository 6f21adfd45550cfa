"""Fault injection: the failures of a real SQL Server, for tests and for users who want to test their clients.

The server's port answers HTTP for `/_sandbox/faults`, too (`control.py`); `interference.py` applies the faults.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from dstream_sandbox.fault_list import FaultList
from dstream_sandbox.sqlserver.session import SqlError

Action = Literal["error", "drop", "silence", "delay", "failover"]
Moment = Literal["login", "statement", "result"]

_MESSAGES: dict[int, tuple[int, str]] = {
    596: (21, "Cannot continue the execution because the session is in the kill state."),
    701: (17, "There is insufficient system memory in resource pool 'default' to run this query."),
    1205: (
        13,
        "Transaction (Process ID {spid}) was deadlocked on lock resources with another process and has been chosen as "
        "the deadlock victim. Rerun the transaction.",
    ),
    1222: (16, "Lock request time out period exceeded."),
    4060: (11, 'Cannot open database "{database}" requested by the login. The login failed.'),
    10928: (20, "Resource ID: 1. The request limit for the database is 30 and has been reached."),
    10929: (20, "Resource ID: 1. The server is currently too busy to support requests greater than 0."),
    18456: (14, "Login failed for user '{login}'."),
    40197: (17, "The service has encountered an error processing your request. Please try again. Error code 40613."),
    40501: (20, "The service is currently busy. Retry the request after 10 seconds. Code: 131075."),
    40613: (
        17,
        "Database '{database}' on server 'sandbox' is not currently available. Please retry the connection later.",
    ),
    49918: (16, "Cannot process request. Not enough resources to process request. Please retry your request later."),
}
"""Severities and texts, without incident and tracing IDs. Sources: "Database engine events and errors"; "Troubleshoot
connectivity issues and other errors with Azure SQL Database", List of transient fault error codes."""


@dataclass
class SqlFault:
    """One fault: what happens, when, and how often. Raises ValueError for invalid values."""

    kind: Literal["sql"] = "sql"
    action: Action = "error"
    """`error` with `number`; `drop` the connection; `silence`: do not answer; `delay` the answer; `failover`:
    disconnect all clients and restore the database `entity` from NAME.bak."""
    number: int = 0
    """The error, such as 1205. One of severity 20 or above also closes the connection."""
    at: Moment = "statement"
    """At a login, at a statement, or after some rows of its first result."""
    statement: str = ""
    """Text that the statement contains."""
    entity: str | None = None
    """The database; default: all."""
    times: int | None = None
    """How often the fault applies; default: until cleared."""
    after: int = 0
    """Number of logins or statements to let through first."""
    seconds: float = 0.0
    """For `delay` and `silence`: how long (0: until the client disconnects). Otherwise: how long the fault lasts once
    it has applied."""
    description: str = ""
    """The text of the error."""

    def __post_init__(self) -> None:
        if self.kind != "sql":
            raise ValueError("kind must be sql")
        for name, allowed in (("action", Action), ("at", Moment)):
            if getattr(self, name) not in get_args(allowed):
                raise ValueError(f"{name} must be one of {', '.join(get_args(allowed))}")
        if (self.action == "error") != (self.number > 0):
            raise ValueError("a sql fault needs a number, or an action other than error")
        if self.action == "delay" and not self.seconds:
            raise ValueError("delay needs seconds")
        if self.action == "failover" and not self.entity:
            raise ValueError("failover needs an entity: the database to restore")
        if self.times is not None and self.times < 1:
            raise ValueError("times must be at least 1")
        if self.after < 0 or self.seconds < 0:
            raise ValueError("after and seconds must not be negative")

    def error(self, *, spid: int, login: str, database: str) -> SqlError:
        severity, text = _MESSAGES.get(self.number, (16, "The sandbox injected this error."))
        words = self.description or text.format(spid=spid, login=login, database=database)
        return SqlError(self.number, words, severity=severity)


class SqlFaults(FaultList[SqlFault]):
    """The active faults of one server; any thread may use them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(SqlFault)
        self._clock = clock
        self._ends: dict[int, float] = {}
        self.cleared = 0
        """How often the faults were cleared."""

    def clear(self) -> None:
        self.cleared += 1
        super().clear()
        self._ends.clear()

    def strike(self, at: Moment, database: str, statement: str = "") -> SqlFault | None:
        """Return the fault that applies, and count it."""
        fault = self.first(
            lambda rule: (
                rule.at == at
                and (rule.entity is None or rule.entity.lower() == database.lower())
                and rule.statement in statement
                and self._lasts(rule)
            )
        )
        if fault and fault.seconds and fault.action not in ("delay", "silence"):
            self._ends.setdefault(id(fault), self._clock() + fault.seconds)
        return fault

    def _lasts(self, rule: SqlFault) -> bool:
        return self._clock() < self._ends.get(id(rule), float("inf"))
