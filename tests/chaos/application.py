"""The application of the chaos tests, which writes while servers and processes die, and what must arrive."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time

import pyodbc
from dstream_sandbox import workload

from tests.running import Message, Sandbox, wait_until


class Writer:
    """An application that writes until it is stopped and reconnects when its connection breaks."""

    def __init__(self, sandbox: Sandbox, seed: int) -> None:
        self._sandbox = sandbox
        self._seed = seed
        self._ended = False
        self._changed_before = 0
        self._load: workload.Load | None = None
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    @property
    def changed(self) -> int:
        return self._changed_before + (self._load.written.total if self._load else 0)

    def write(self, rows: int) -> None:
        """Wait until `rows` more rows have changed. The application keeps writing meanwhile and afterwards."""
        wanted = self.changed + rows
        wait_until(lambda: self.changed >= wanted or not self._thread.is_alive(), f"{wanted} changed rows")
        assert self._thread.is_alive(), "the writer died"

    def finish(self) -> None:
        self._ended = True
        self._thread.join()

    def _write(self) -> None:
        while not self._ended:
            try:
                with contextlib.closing(self._sandbox.connect()) as connection:
                    self._load = workload.Load(connection, seed=self._seed)
                    while not self._ended:
                        self._load.transaction()
            except pyodbc.Error:
                self._seed += 1000
                if self._load:
                    self._changed_before += self._load.written.total
                    self._load = None


class SteadyWriter:
    """An application that changes rows `first` to `last` of a table, with the columns Id, Name and Note, at a steady
    rate in rows per second, until `finish`."""

    def __init__(self, sandbox: Sandbox, table: str, first: int, last: int, rate: int) -> None:
        self._sandbox = sandbox
        self._table = table
        self._range = (first, last)
        self._rate = rate
        self._ended = threading.Event()
        self._error: Exception | None = None
        self.changed = 0
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Raises the error that has ended the application."""
        self._ended.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _write(self) -> None:
        chance = random.Random(1)
        begin = time.monotonic()
        try:
            with contextlib.closing(self._sandbox.connect(autocommit=False)) as connection:
                while not self._ended.is_set():
                    self._transaction(connection, chance)
                    self._ended.wait(self.changed / self._rate - (time.monotonic() - begin))
        except pyodbc.Error as error:
            self._error = error

    def _transaction(self, connection: pyodbc.Connection, chance: random.Random) -> None:
        """Update about 40 rows, delete about 5, and insert as many behind the range."""
        at, first = chance.randint(*self._range), self._range[1] + self.changed
        statements = (
            f"UPDATE {self._table} SET Name = CONCAT(N'changed ', Id, N' ', {self.changed}) WHERE Id BETWEEN {at} AND {at + 39}",
            f"DELETE {self._table} WHERE Id BETWEEN {at + 40} AND {at + 44}",
            f"INSERT INTO {self._table} SELECT value, N'new', N'a note' FROM GENERATE_SERIES({first + 1}, {first + 5})",
        )
        self.changed += sum(connection.execute(statement).rowcount for statement in statements)
        connection.commit()


def recorded_changes(sandbox: Sandbox) -> list[tuple[str, int, str, int]]:
    """Every change that SQL Server recorded, in commit order."""

    def read() -> list[tuple[str, int, str, int]] | None:
        try:
            return sorted(
                (row[0].hex(), row[1] or 0, row[2].hex(), row[3])
                for table in workload.TABLES
                for row in sandbox.sql(
                    "SELECT [__$start_lsn], [__$command_id], [__$seqval], [__$operation]"
                    f" FROM cdc.[{table.replace('.', '_')}_CT] WHERE [__$operation] <> 3"
                )
            )
        except pyodbc.Error:
            return None

    return wait_until(read, "SQL Server to be back")  # type: ignore[no-any-return]


def compare(
    expected: list[tuple[str, int, str, int]], received: list[Message], told: str, *, duplicate_detection: bool
) -> None:
    first: dict[str, Message] = {}
    for message in received:
        earlier = first.setdefault(message.id, message)
        assert earlier.body == message.body, f"{told}: the repeat of {message.id} has different bytes"
    positions = [message.position for message in first.values()]
    assert sorted(positions) == expected, f"{told}: lost {len(set(expected) - set(positions))}"
    assert all(a < b for a, b in itertools.pairwise(positions)), f"{told}: first occurrences out of commit order"
    if duplicate_detection:
        assert len(received) == len(expected), f"{told}: repeats in a queue with duplicate detection"
