"""A minimal poller of a change table: one SELECT per second, one dict per row, msgspec. Acts as a provider."""

from __future__ import annotations

import json
import os
import sys
import time

import msgspec
import pyodbc
from dstream_sandbox.clients import odbc_driver

POLL_S = 1.0


def send(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def main() -> None:
    config = json.loads(sys.stdin.buffer.readline())["config"]
    connection = pyodbc.connect(f"DRIVER={odbc_driver()};{config['db_connection_string']}", autocommit=True)
    table = config["tables"][0].replace(".", "_")
    send(b'{"status":"ready"}\n')
    query = f"SELECT * FROM cdc.[{table}_CT] WHERE [__$start_lsn] > CONVERT(binary(10), ?) ORDER BY [__$start_lsn]"
    encode = msgspec.json.Encoder().encode_lines
    position = bytes(10)
    while True:
        cursor = connection.execute(query, position)
        names = [column[0] for column in cursor.description]
        data = [name for name in names if not name.startswith("__$")]
        first = names.index(data[0])
        rows = cursor.fetchall()
        if not rows:
            time.sleep(POLL_S)
            continue
        lines = [
            {
                "data": dict(zip(data, row[first : first + len(data)], strict=True)),
                "metadata": {"TableName": config["tables"][0], "OperationType": "Insert", "LSN": row[0].hex()},
            }
            for row in rows
        ]
        send(encode(lines))
        position = rows[-1][0]


main()
