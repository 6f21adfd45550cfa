"""An input provider that writes rows of three tables, as a database with a steady load does; resumable."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import msgspec

from dstream.sdk import Checkpoint, InputProvider, Row, State, StdioProviderHost, Stop

TABLES = ("dbo.A", "dbo.B", "dbo.C")
ROWS_PER_CHECKPOINT = 11
PAUSE_S = 0.002


class Config(msgspec.Struct):
    """No settings."""


class TableRows(InputProvider[Config]):
    """Row n is in table n modulo 3."""

    def read(self, state: State, stop: Stop) -> Iterator[Row | Checkpoint]:
        for number in itertools.count(state.get("next", 0)):
            table = TABLES[number % len(TABLES)]
            yield Row({"Id": number}, TableName=table, OperationType="Insert", Key=["Id"], Id=f"{table}/{number}")
            if (number + 1) % ROWS_PER_CHECKPOINT == 0:
                yield Checkpoint({"next": number + 1})
                if stop.wait(PAUSE_S):
                    return


if __name__ == "__main__":
    StdioProviderHost(TableRows).run()
