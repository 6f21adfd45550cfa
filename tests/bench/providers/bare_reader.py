"""A minimal reader from a change table to JSON lines: one SELECT, one dict per row, msgspec. Acts as a provider."""

from __future__ import annotations

import json
import os
import sys

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
    cursor = connection.execute("SELECT * FROM cdc.[dbo_Wide_CT] ORDER BY [__$start_lsn], [__$command_id], [__$seqval]")
    names = [column[0] for column in cursor.description]
    at = {name: place for place, name in enumerate(names)}
    data = [name for name in names if not name.startswith("__$")]
    first, last = at[data[0]], at[data[-1]] + 1
    encode = msgspec.json.Encoder().encode_lines
    while rows := cursor.fetchmany(BATCH):
        send(
            encode(
                [
                    {
                        "data": dict(zip(data, row[first:last], strict=True)),
                        "metadata": {"TableName": "dbo.Wide", "OperationType": "Insert", "LSN": row[0].hex()},
                    }
                    for row in rows
                ]
            )
        )
    send(b'{"dstream":"end"}\n')
    sys.stdin.buffer.read()


main()
