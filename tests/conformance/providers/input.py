"""A well-behaved input: `rows` rows from its state on, one every `delay` seconds, a checkpoint every `every` rows, then the
end or `hold` until stop.

`fault` makes it break one rule after `after` rows and `after_acks` acks. It writes two files: the acks it received to
`acks`, and the start position from line 1 to `starts`.
"""

import json
import os
import signal
import sys
import threading
import time

from wire import command, fault_of, hello, raw, receive, say, write_stderr

hello("input", os.environ.get("NAME", "rows"), "checkpoint", "ack", "drain", *os.environ.get("MORE", "once").split())
line_1 = command()
config, state = line_1["config"], line_1["state"]
fault = fault_of(config)
if "starts" in config:
    with open(config["starts"], "a") as file:
        file.write(json.dumps({"from": line_1["run"]["from"], "state": state}) + "\n")
if fault == "not_ready":
    write_stderr("waiting for a database")
    receive()
    time.sleep(60)
if fault == "refuses":
    error = {
        "code": "rows.bad",
        "kind": config.get("kind", "config"),
        "message": "no such table",
        "hint": "check",
        "config_path": "tables[0]",
    }
    say({"status": "error", "message": "no such table", "error": error})
    sys.exit(1)
if fault == "killed_early":
    os.kill(os.getpid(), signal.SIGKILL)
if fault == "early_exit":
    write_stderr("can't find libfoo.so")
    sys.exit(7)
welcome = receive()
if config.get("ignores_sigterm"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
say({"status": "ready"})

stopped = threading.Event()
acks = []
eof = threading.Event()


written = threading.Event()


def listen():
    if fault == "chatters":  # reads no ack while it writes
        written.wait()
    while (received := receive()) is not None:
        message = received[1]
        if message["dstream"] == "stop" and fault != "deaf":
            stopped.set()
        if message["dstream"] == "snapshot":
            with open(config["snapshots"], "a") as requests:
                requests.write(json.dumps(message["tables"]) + "\n")
        if message["dstream"] == "ack":
            acks.append(message["seq"])
    eof.set()
    stopped.set()


threading.Thread(target=listen, daemon=True).start()

first = state.get("next", 0)
rows, every, size = config.get("rows", 10), config.get("every", 5), config.get("size", 10)
seq = 0


def checkpoint(n, following):
    global seq
    seq += 1
    say({"dstream": "checkpoint", "seq": seq, "n": n, "state": {"next": following, **config.get("extra_state", {})}})


def fail(now):
    while len(acks) < config.get("after_acks", 0):
        time.sleep(0.005)
    if fault == "error":
        error = {
            "code": "rows.lost",
            "kind": config.get("kind", "transient"),
            "message": "connection lost: " + config.get("say", ""),
        }
        say({"dstream": "error", **error, "hint": "wait", "config_path": "tables[0]"})
        sys.exit(1)
    if fault == "exit":
        sys.exit(3)
    if fault == "exit_0":
        sys.exit(0)
    if fault == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "miscount":
        checkpoint(now + 1, 0)
    if fault == "skips_seq":
        say({"dstream": "checkpoint", "seq": seq + 2, "n": now, "state": {}})
    if fault == "stateless":
        say({"dstream": "checkpoint", "seq": seq + 1, "n": now})
    if fault == "bad_control":
        raw(b'{"dstream":"checkpoint","seq":"one"}\n')
    if fault == "unknown_control":
        say({"dstream": "from_the_future", "x": 1})
    if fault == "long_line":
        raw(b'{"data":"' + b"x" * config["size"] + b'"}\n')
    if fault == "endless_line":
        while True:
            raw(b"x" * 65536)
    if fault == "long_control":
        say({"dstream": "log", "level": "info", "event": "x" * 70_000})
    if fault == "unterminated":
        raw(b'{"data":{"n":"half')
        sys.exit(0)
    if fault == "after_end":
        checkpoint(now, 0)
        say({"dstream": "end", "seq": seq})
        raw(b'{"data":{"n":-1}}\n')
    if fault == "uncovered_end":
        say({"dstream": "end", "seq": seq})
    if fault == "closes_stdout":
        os.close(1)
        time.sleep(60)


done = 0
pending = 0
for n in range(first, first + rows):
    if stopped.wait(config.get("delay", 0)):
        break
    raw(b'{"data":{"n":%d,"pad":"%s"},"metadata":{}}\n' % (n, b"x" * size))
    pending += 1
    done += 1
    if fault == "chatters":
        write_stderr("z" * 200_000)
    if fault and done == config.get("after", 3):
        fail(pending)
    if pending == every:
        checkpoint(pending, n + 1)
        pending = 0
if pending:
    checkpoint(pending, first + done)
written.set()
if config.get("hold"):
    if "heartbeat" in os.environ.get("MORE", "") and fault != "silent":
        while not stopped.wait(0.1):
            say({"dstream": "heartbeat", "phase": "idle", "lag_ms": 5})
    while not stopped.wait(1):
        pass
if fault == "leaves_at_end":
    say({"dstream": "end", "seq": seq})
    sys.exit(0)
if not eof.is_set():
    say({"dstream": "end", "seq": seq})
if fault == "lingers":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
eof.wait(30)
if "acks" in config:
    with open(config["acks"], "w") as file:
        file.write(" ".join(map(str, acks)))
