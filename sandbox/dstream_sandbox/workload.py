"""Writes to SQL Server as an application would: three tables, mixed operations, transactions across tables.

All random choices come from a seed, so that a load is reproducible.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyodbc

TABLES = ("dbo.Customers", "dbo.Orders", "dbo.OrderLines")

_CREATE = (
    """CREATE TABLE dbo.Customers (
        Id int NOT NULL PRIMARY KEY, Name nvarchar(100) NOT NULL, Email varchar(200) NULL,
        Balance decimal(18,2) NOT NULL, Changed datetime2(7) NOT NULL)""",
    """CREATE TABLE dbo.Orders (
        Id int NOT NULL PRIMARY KEY, CustomerId int NOT NULL, Status varchar(20) NOT NULL, Total decimal(18,2) NOT NULL,
        Note nvarchar(max) NULL, Created datetime2(7) NOT NULL)""",
    """CREATE TABLE dbo.OrderLines (
        OrderId int NOT NULL, Line int NOT NULL, Product nvarchar(50) NOT NULL, Quantity int NOT NULL,
        Price money NOT NULL,
        CONSTRAINT PK_OrderLines PRIMARY KEY (OrderId, Line))""",
)
_STATUSES = ("new", "paid", "packed", "shipped")
_NAMES = ("Ada", "Grace", "Barbara", "Edsger", "Jürgen", "Зоя", "小林", "🦜")


@dataclass(slots=True)
class Written:
    """Rows changed by a load, counted per table."""

    changes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))
    transactions: int = 0

    @property
    def total(self) -> int:
        return sum(self.changes.values())


def create_tables(connection: pyodbc.Connection) -> None:
    """Create the three tables with CDC enabled, unless they exist."""
    for table, statement in zip(TABLES, _CREATE, strict=True):
        schema, name = table.split(".")
        if connection.execute("SELECT OBJECT_ID(?)", table).fetchval() is not None:
            continue
        connection.execute(statement)
        connection.execute(
            "EXEC sys.sp_cdc_enable_table @source_schema = ?, @source_name = ?, @role_name = NULL", schema, name
        )


class Load:
    """Writes to the tables, continuing from their current rows, so that loads can run one after another."""

    def __init__(self, connection: pyodbc.Connection, *, seed: int = 1) -> None:
        connection.autocommit = False
        self._connection = connection
        self._cursor = connection.cursor()
        self._random = random.Random(seed)
        self._customers: list[int] = [row[0] for row in self._cursor.execute("SELECT Id FROM dbo.Customers")]
        self._orders: dict[int, int] = {
            row[0]: row[1]
            for row in self._cursor.execute(
                "SELECT o.Id, COUNT(l.Line) FROM dbo.Orders o"
                " LEFT JOIN dbo.OrderLines l ON l.OrderId = o.Id GROUP BY o.Id"
            )
        }
        connection.commit()
        self._next: int = 1 + max([*self._customers, *self._orders, 0])
        self.written = Written()

    def run(self, rows: int, *, rate: float | None = None, tick: Callable[[Written], None] = lambda _: None) -> Written:
        """Commit transactions until at least `rows` rows have changed, at most `rate` per second."""
        started = time.monotonic()
        first = self.written.total
        while (done := self.written.total - first) < rows:
            if rate and (ahead_s := done / rate - (time.monotonic() - started)) > 0:
                time.sleep(ahead_s)
            self.transaction()
            tick(self.written)
        return self.written

    def transaction(self) -> None:
        """Run one transaction that changes between one and a few dozen rows."""
        changes = list(self._statements())
        self._connection.commit()
        for table, count in changes:
            self.written.changes[table] += count
        self.written.transactions += 1

    def _statements(self) -> Iterator[tuple[str, int]]:
        choice = self._random.random()
        if not self._customers or choice < 0.15:
            yield from self._add_customer()
        elif not self._orders or choice < 0.55:
            yield from self._place_order()
        elif choice < 0.85:
            yield from self._update_order()
        elif choice < 0.93:
            yield from self._update_customers()
        else:
            yield from self._delete_order()

    def _add_customer(self) -> Iterator[tuple[str, int]]:
        number = self._take_id()
        name = f"{self._random.choice(_NAMES)} {number}"
        self._cursor.execute(
            "INSERT INTO dbo.Customers (Id, Name, Email, Balance, Changed) VALUES (?, ?, ?, 0, SYSUTCDATETIME())",
            number, name, None if self._random.random() < 0.3 else f"c{number}@example.com",
        )  # fmt: skip
        self._customers.append(number)
        yield "dbo.Customers", 1

    def _place_order(self) -> Iterator[tuple[str, int]]:
        order, lines = self._take_id(), self._random.randint(1, 4)
        note = None if self._random.random() < 0.5 else "note " * self._random.randint(1, 40)
        self._cursor.execute(
            "INSERT INTO dbo.Orders (Id, CustomerId, Status, Total, Note, Created)"
            " VALUES (?, ?, 'new', ?, ?, SYSUTCDATETIME())",
            order, self._random.choice(self._customers), f"{lines * 9.99:.2f}", note,
        )  # fmt: skip
        yield "dbo.Orders", 1
        for line in range(1, lines + 1):
            self._cursor.execute(
                "INSERT INTO dbo.OrderLines (OrderId, Line, Product, Quantity, Price) VALUES (?, ?, ?, ?, 9.99)",
                order, line, f"product {self._random.randint(1, 500)}", self._random.randint(1, 9),
            )  # fmt: skip
            yield "dbo.OrderLines", 1
        self._orders[order] = lines

    def _update_order(self) -> Iterator[tuple[str, int]]:
        order = self._random.choice(list(self._orders)) if len(self._orders) < 64 else self._recent_order()
        # SQL Server does not log an update that changes no value, so Total always changes.
        self._cursor.execute(
            "UPDATE dbo.Orders SET Status = ?, Total = Total + 0.01 WHERE Id = ?", self._random.choice(_STATUSES), order
        )
        yield "dbo.Orders", 1
        self._cursor.execute("UPDATE dbo.OrderLines SET Quantity = Quantity + 1 WHERE OrderId = ?", order)
        yield "dbo.OrderLines", self._orders[order]

    def _update_customers(self) -> Iterator[tuple[str, int]]:
        low = self._random.choice(self._customers)
        self._cursor.execute(
            "UPDATE dbo.Customers SET Balance = Balance + 1.01, Changed = SYSUTCDATETIME() WHERE Id BETWEEN ? AND ?",
            low, low + 20,
        )  # fmt: skip
        yield "dbo.Customers", int(self._cursor.rowcount)

    def _delete_order(self) -> Iterator[tuple[str, int]]:
        order = self._recent_order()
        self._cursor.execute("DELETE FROM dbo.OrderLines WHERE OrderId = ?", order)
        yield "dbo.OrderLines", self._orders.pop(order)
        self._cursor.execute("DELETE FROM dbo.Orders WHERE Id = ?", order)
        yield "dbo.Orders", 1

    def _recent_order(self) -> int:
        """One of the first 64 keys; copying all keys for each choice would be slow."""
        keys = iter(self._orders)
        skip = self._random.randrange(min(64, len(self._orders)))
        for _ in range(skip):
            next(keys)
        return next(keys)

    def _take_id(self) -> int:
        number, self._next = self._next, self._next + 1
        return number
