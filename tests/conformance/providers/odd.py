"""Programs that are not valid protocol 1 providers. The first argument selects the behavior."""

import sys
import time

from wire import hello, raw, write_stderr

kind = sys.argv[1]
if kind == "prose":
    raw(b"Starting up the reader\nconnected\n")
    sys.exit(0)
if kind == "prose_stays":
    raw(b"Starting up the reader\n")
    time.sleep(60)
if kind == "json":
    raw(b'{"status":"ready"}\n')
    time.sleep(60)
if kind == "quiet":
    time.sleep(60)
if kind == "gone":
    write_stderr("no module named foo")
    sys.exit(2)
if kind == "protocol_2":
    hello("input", "future", "checkpoint", "ack", protocol=2)
    time.sleep(60)
if kind == "control_first":
    raw(b'{"dstream":"heartbeat"}\n')
    time.sleep(60)
if kind == "early_data":
    hello("input", "hasty", "checkpoint", "ack", then=b'{"data":{}}\n')
    time.sleep(60)
if kind == "early_ready":
    hello("input", "hasty", "checkpoint", "ack", then=b'{"status":"ready"}\n')
    time.sleep(60)
if kind == "no_checkpoint":
    hello("input", "simple")
    time.sleep(60)
if kind == "no_ack":
    hello("output", "simple")
    time.sleep(60)
if kind == "input":
    hello("input", "counter", "checkpoint", "ack")
    time.sleep(60)
if kind == "output":
    hello("output", "servicebus", "ack")
    time.sleep(60)
