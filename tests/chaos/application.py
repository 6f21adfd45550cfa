"""The application of the chaos tests, which writes while servers and processes die, and what must arrive."""

from __future__ import annotations

import contextlib
import itertools
import threading

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
