"""A minimal reader of one table, or of its change table, to JSON lines: one SELECT, one dict per row, msgspec.

Acts as a provider.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import pyodbc
from dstream_sandbox.clients import odbc_driver

BATCH = 1000


def send(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def main() -> None:
    config = json.loads(sys.stdin.buffer.readline())["config"]
    connection = pyodbc.connect(f"DRIVER={odbc_driver()};{config['db_connection_string']}")
    send(b'{"status":"ready"}\n')
    table = config["tables"][0]
    read = rows_of if config.get("start_from") == "snapshot" else changes_of
    encode = msgspec.json.Encoder().encode_lines
    for lines in read(connection, table):
        send(encode(lines))
    send(b'{"dstream":"end"}\n')
    sys.stdin.buffer.read()


def rows_of(connection: pyodbc.Connection, table: str) -> Iterator[list[dict[str, Any]]]:
    cursor = connection.execute(f"SELECT * FROM {table}")
    names = [column[0] for column in cursor.description]
    while rows := cursor.fetchmany(BATCH):
        yield [
            {
                "data": dict(zip(names, row, strict=True)),
                "metadata": {"TableName": table, "OperationType": "Read"},
            }
            for row in rows
        ]


def changes_of(connection: pyodbc.Connection, table: str) -> Iterator[list[dict[str, Any]]]:
    """Inserts, and updates with the row before."""
    cursor = connection.execute(
        f"SELECT * FROM cdc.[{table.replace('.', '_')}_CT] "
        "ORDER BY [__$start_lsn], [__$command_id], [__$seqval], [__$operation]"
    )
    columns = [column[0] for column in cursor.description]
    operation = columns.index("__$operation")
    names = [name for name in columns if not name.startswith("__$")]
    first = columns.index(names[0])
    last = first + len(names)
    before = None
    while rows := cursor.fetchmany(BATCH):
        lines = []
        for row in rows:
            data = dict(zip(names, row[first:last], strict=True))
            if row[operation] == 3:
                before = data
                continue
            line = {
                "data": data,
                "metadata": {
                    "TableName": table,
                    "OperationType": "Insert" if row[operation] == 2 else "Update",
                    "LSN": row[0].hex(),
                },
            }
            if row[operation] == 4:
                line["before"] = before
            lines.append(line)
        yield lines


main()
