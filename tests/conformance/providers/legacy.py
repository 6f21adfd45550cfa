"""Providers of the original protocol: no hello, no control lines. The first argument selects the behavior."""

import os
import select
import signal
import sys
import time

from wire import raw, write_stderr

kind = sys.argv[1]


def whole_stdin():
    data = b""
    while part := os.read(0, 65536):
        data += part
    return data


def row(n):
    return b'{"data":{"n":%d},"metadata":{"Id":"%d"}}\n' % (n, n)


if kind == "ingester":  # reads its config up to EOF, logs to stdout, then writes rows; the last row has no newline
    assert b'"rows":7' in whole_stdin()
    raw(b'Connecting\n{"status":"ready"}\n')
    for n in range(7):
        raw(row(n) + b"polled\n")
    raw(row(7)[:-1])
if kind == "logs":  # writes JSON log lines before, between and after its rows
    log = b'{"level":"%s","msg":"polled","table":"Orders"}'
    raw(log % b"info" + b"\n")
    whole_stdin()
    raw(row(0) + log % b"WARN" + b"\n" + row(1) + b'{"level":"info"}\n' + log % b"error")
if kind == "crashes":
    whole_stdin()
    raw(b'Connecting\n{"status":"ready"}\n' + row(0) + row(1)[:-1])
    sys.exit(3)
if kind == "refuses":
    whole_stdin()
    raw(b'{"status":"error","message":"no such database"}\n')
    sys.exit(1)
if kind == "streams":  # silent at first, which counts as ready; then rows until SIGTERM
    whole_stdin()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    time.sleep(float(sys.argv[2]))
    for n in range(3):
        raw(row(n))
    time.sleep(60)
if kind == "half":  # stopped in the middle of a row
    whole_stdin()
    raw(row(0) + row(1)[:-5])
    time.sleep(60)
if kind == "printf":  # reads nothing, writes three rows, exits
    raw(row(0) + row(1) + row(2))
if kind == "late":  # sends hello only after line 1, so it has counted as legacy; the next time within 0.6 s
    if os.path.exists(sys.argv[2]):
        time.sleep(0.6)  # twice the host's patience, which does not apply any more
    else:
        open(sys.argv[2], "w").close()
        select.select([0], [], [])
    os.execv(sys.executable, [sys.executable, "-S", "-E", os.path.join(os.path.dirname(__file__), "input.py")])
if kind in ("sink", "sink_fails", "quiet_sink"):
    sink = open(sys.argv[2], "wb")  # noqa: SIM115  # closed below
    lines = os.fdopen(0, "rb", buffering=0)
    sink.write(lines.readline())
    if kind != "quiet_sink":
        raw(b'{"status":"ready"}\n')
    for line in lines:
        sink.write(line)
    sink.close()
    raw(b"x" * 200_000 + b"\nbye\n")
    write_stderr("closed")
    sys.exit(5 if kind == "sink_fails" else 0)
if kind == "quiet":
    whole_stdin()
    time.sleep(60)
