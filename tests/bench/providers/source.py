"""Writes prepared lines as fast as the pipe accepts them, as a provider or, given a number of rows, without a host."""

from __future__ import annotations

import json
import os
import sys

LINE = json.dumps({"data": {"Id": 1, "Text": "x" * 330}, "metadata": {"TableName": "dbo.T", "OperationType": "Insert"}})
BLOCK = ((LINE + " " * (449 - len(LINE)) + "\n") * 1000).encode()


def send(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def stream(rows: int, *, controls: bool) -> int:
    """Write the rows and return the number of the last checkpoint."""
    seq = 0
    for seq in range(1, rows // 1000 + 1):
        mark = b'{"dstream":"checkpoint","seq":%d,"n":1000,"state":{"at":%d}}\n' % (seq, seq)
        send(BLOCK + mark if controls else BLOCK)
    return seq


if len(sys.argv) > 1:
    stream(int(sys.argv[1]), controls=False)
else:
    send(b'{"dstream":"hello","protocol":1,"role":"input","name":"source","capabilities":["checkpoint","ack"]}\n')
    rows = json.loads(sys.stdin.buffer.readline())["config"]["rows"]
    sys.stdin.buffer.readline()  # welcome
    send(b'{"status":"ready"}\n')
    send(b'{"dstream":"end","seq":%d}\n' % stream(rows, controls=True))
    while sys.stdin.buffer.readline():
        pass  # acks, until the host closes the pipe
