"""A small engine at the Session seam: answers a few statements by name, so that tests of the wire need no T-SQL."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dstream_sandbox.sqlserver.catalog import CATALOG_PROCEDURES
from dstream_sandbox.sqlserver.session import (
    Column,
    Columns,
    DatabaseChanged,
    Done,
    Event,
    Message,
    OutputValue,
    Param,
    ReturnStatus,
    Rows,
    SqlError,
    TransactionChanged,
)
from dstream_sandbox.sqlserver.values import Row, SqlType, Value

INT = SqlType("int")
PASSWORD = "Correct-horse-1"


@dataclass
class ScriptedSession:
    """`results` maps a statement's text to its result; a few verbs are built in."""

    engine: ScriptedEngine
    database: str
    spid: int
    transaction_descriptor: int = 0
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._cancelled = threading.Event()

    def execute(
        self, sql: str, params: Sequence[Param] = (), *, declarations: str = "", in_procedure: bool = False
    ) -> Iterator[Event]:
        self._cancelled.clear()
        self.log.append(sql)
        self.engine.executed.append((sql, tuple(params), declarations))
        if sql in self.engine.results:
            columns, rows = self.engine.results[sql]
            return iter([Columns(columns), Rows(rows), Done(len(rows), is_select=True)])
        verb, _, rest = sql.partition(" ")
        return getattr(self, f"_{verb.lower()}", self._unknown)(rest, params)

    def call(self, procedure: str, params: Sequence[Param]) -> Iterator[Event]:
        self.engine.called.append((procedure, tuple(params)))
        catalog = CATALOG_PROCEDURES.get(procedure.rsplit(".", 1)[-1])
        if catalog is not None:
            yield from catalog(self, params)
        elif procedure == "double":
            yield OutputValue("@out", INT, 2 * int(str(params[0].value)))
            yield ReturnStatus(7)
        elif procedure == "show":
            yield from _one_row(
                tuple(Column(param.name, param.type) for param in params), tuple(p.value for p in params)
            )
            yield ReturnStatus(0)
        else:
            yield Message(2812, 16, 62, f"Could not find stored procedure '{procedure}'.")

    def describe(self, sql: str, declarations: str = "") -> tuple[Column, ...]:
        return self.engine.results[sql][0] if sql in self.engine.results else ()

    def describe_parameters(self, sql: str, declarations: str = "") -> list[tuple[str, SqlType]]:
        names = re.findall(r"@P\d+", sql)
        return [(name, self.engine.parameter_type) for name in names]

    def bulk_insert(
        self,
        table: str,
        columns: Sequence[str],
        rows: Iterator[Row],
        *,
        types: Sequence[SqlType] = (),
        check_constraints: bool = False,
    ) -> int:
        received = list(rows)
        self.engine.bulk.append((table, tuple(columns), received))
        return len(received)

    def begin(self, name: str = "", isolation: str | None = None) -> Iterator[Event]:
        self.transaction_descriptor = next(self.engine.descriptors)
        self.engine.transactions.append(("begin", isolation or ""))
        yield TransactionChanged("begin", self.transaction_descriptor)

    def commit(self, name: str = "") -> Iterator[Event]:
        return self._end("commit")

    def rollback(self, name: str = "") -> Iterator[Event]:
        return self._end("rollback")

    def save(self, name: str) -> Iterator[Event]:
        self.engine.transactions.append(("save", name))
        return iter(())

    def cancel(self) -> None:
        self._cancelled.set()

    def reset(self) -> None:
        self.engine.resets += 1

    def close(self) -> None:
        self.engine.closed.append(self.spid)

    def _end(self, kind: str) -> Iterator[Event]:
        self.engine.transactions.append((kind, ""))
        descriptor, self.transaction_descriptor = self.transaction_descriptor, 0
        yield TransactionChanged(kind, descriptor)

    def _select(self, rest: str, params: Sequence[Param]) -> Iterator[Event]:
        """SELECT 1 or SELECT its parameters."""
        if rest.startswith("FAIL "):
            return self._fail(rest.removeprefix("FAIL "), params)
        if rest == "1":
            return _one_row((Column("", INT),), (1,))
        columns = tuple(Column(f"c{n}", param.type) for n, param in enumerate(params))
        return _one_row(columns, tuple(param.value for param in params))

    def _count(self, rest: str, _: Sequence[Param]) -> Iterator[Event]:
        """COUNT n: the numbers below n, until cancelled."""
        yield Columns((Column("n", INT), Column("text", SqlType("nvarchar", 50))))
        total = int(rest)
        for start in range(0, total, 500):
            if self._cancelled.is_set():
                self.engine.cancelled += 1
                return
            yield Rows([(n, f"row {n}") for n in range(start, min(start + 500, total))])
        yield Done(total, is_select=True)

    def _sleep(self, rest: str, _: Sequence[Param]) -> Iterator[Event]:
        """SLEEP n: wait for n seconds or until cancelled."""
        if self._cancelled.wait(float(rest)):
            self.engine.cancelled += 1
            return
        yield Done(None)

    def _fail(self, rest: str, _: Sequence[Param]) -> Iterator[Event]:
        yield Message(int(rest), 16, 1, f"It failed with {rest}.", "proc", 3)

    def _print(self, rest: str, _: Sequence[Param]) -> Iterator[Event]:
        yield Message(0, 0, 1, rest)
        yield Done(None)

    def _many(self, rest: str, _: Sequence[Param]) -> Iterator[Event]:
        """MANY n: n results, with a row count in between."""
        for n in range(int(rest)):
            yield Done(n)
            yield from _one_row((Column("n", INT),), (n,))

    def _use(self, rest: str, _: Sequence[Param]) -> Iterator[Event]:
        old, self.database = self.database, rest
        yield DatabaseChanged(old, rest)
        yield Done(None)

    def _insert(self, rest: str, params: Sequence[Param]) -> Iterator[Event]:
        self.engine.inserted.append(tuple(param.value for param in params))
        yield Done(1)

    def _crash(self, rest: str, _: Sequence[Param]) -> Iterator[Event]:
        raise RuntimeError("a bug in the engine")

    def _unknown(self, rest: str, _: Sequence[Param]) -> Iterator[Event]:
        yield Done(None)


@dataclass
class ScriptedEngine:
    """Records what it was asked."""

    results: dict[str, tuple[tuple[Column, ...], list[Row]]] = field(default_factory=dict)
    executed: list[tuple[str, tuple[Param, ...], str]] = field(default_factory=list)
    called: list[tuple[str, tuple[Param, ...]]] = field(default_factory=list)
    inserted: list[tuple[Value, ...]] = field(default_factory=list)
    bulk: list[tuple[str, tuple[str, ...], list[Row]]] = field(default_factory=list)
    transactions: list[tuple[str, str]] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    parameter_type: SqlType = INT
    resets: int = 0
    cancelled: int = 0

    def __post_init__(self) -> None:
        self.descriptors = itertools.count(1001)
        self._spids = itertools.count(51)

    def login(self, user: str, password: str, database: str, *, app: str, host: str) -> ScriptedSession:
        if (user, password) != ("sa", PASSWORD):
            raise SqlError(18456, f"Login failed for user '{user}'.", severity=14)
        if database == "nowhere":
            text = 'Cannot open database "nowhere" requested by the login. The login failed.'
            raise SqlError(4060, text, severity=11)
        return ScriptedSession(self, database or "master", next(self._spids))

    recovers_sessions = False

    def login_with_token(self, token: str, database: str, *, app: str, host: str) -> ScriptedSession:
        raise SqlError(18456, "Login failed for user '<token-identified principal>'.", severity=14)

    def restore_database(self, name: str, device: str) -> None: ...

    def close(self) -> None: ...


def _one_row(columns: tuple[Column, ...], row: Row) -> Iterator[Event]:
    yield Columns(columns)
    yield Rows([row])
    yield Done(1, is_select=True)
