"""An output with infrastructure, without the SDK. The first argument selects how it handles a lifecycle command."""

import os
import select
import signal
import sys
import time

from wire import command, hello, raw, receive, say, write_stderr

kind = sys.argv[1]
folder = sys.argv[2]


def note(text):
    with open(os.path.join(folder, "received"), "a") as file:
        file.write(text + "\n")


def success(**more):
    say({"status": "Success", "resources": [], "metadata": {"outputs": {"a": 1}}, "message": "", "error": None, **more})


if kind == "input":
    hello("input", "reader")
elif kind == "no_infrastructure":
    hello("output", "writer", "ack")
elif kind == "newer":
    hello("output", "writer", "infrastructure", protocol=2)
elif kind == "quiet":  # an original provider that does not know the command
    command()
    time.sleep(30)
elif kind == "late":
    if not os.path.exists(os.path.join(folder, "late")):
        open(os.path.join(folder, "late"), "w").close()
        select.select([0], [], [])  # until line 1, for which the host has stopped waiting for hello
    hello("output", "world", "infrastructure")
else:
    hello("output", "world", "infrastructure", *(["heartbeat"] if kind == "silent" else []))
asked = command()
note(asked["command"])

if kind in ("works", "late"):
    say({"dstream": "log", "level": "info", "event": "looked", "password": asked["config"].get("password")})
    say({"dstream": "later", "kind": "of control line"})
    resource = {"type": "test:Queue", "name": "orders", "op": "create"}
    say({"dstream": "resource", "phase": "started", **resource})
    diff = [{"path": "note", "old": None, "new": asked["config"].get("password")}]
    say({"dstream": "resource", "phase": "done", **resource, "diff": diff})
    say({"dstream": "diagnostic", "severity": "warning", "message": "the tier is small"})
    success(resources=[{**resource, "phase": "done", "diff": diff}])
    sys.exit(7)  # the host ignores the exit code
if kind == "fails":
    error = {"code": "world.locked", "kind": "locked", "message": "locked by someone else", "config_path": "tables[0]"}
    say({"status": "Failed", "resources": [], "message": "no", "error": error})
    sys.exit(0)
if kind == "fails_plainly":
    say({"status": "Failed", "message": "no reason"})
if kind == "dies":
    write_stderr("out of memory")
    os.kill(os.getpid(), signal.SIGKILL)
if kind == "odd":  # its metadata has other types than the protocol says
    success(metadata={"outputs": [1], "figures": 5, "plan": "x", "where": None})
    sys.exit(0)
if kind == "leaves":
    sys.exit(0)
if kind == "junk":
    raw(b"what?\n")
    time.sleep(30)
if kind == "big":
    say({"dstream": "diagnostic", "severity": "info", "message": "x" * 70_000})
    time.sleep(30)
if kind == "unterminated":
    raw(b'{"status":"Success","resources":[]}')
if kind == "closes":  # stops reading while the host may be writing
    os.close(0)
    success()
if kind == "stays":
    success()
    signal.signal(signal.SIGTERM, lambda *_: None)
    time.sleep(30)
if kind == "cancels":
    say({"dstream": "resource", "phase": "started", "type": "t", "name": "orders", "op": "create"})
    while (received := receive()) is not None:
        note(received[1]["dstream"])
        say({"status": "Failed", "message": "cancelled", "error": None})
        sys.exit(1)
    note("eof")
if kind == "finishes":
    say({"dstream": "resource", "phase": "started", "type": "t", "name": "orders", "op": "create"})
    receive()
    success()
if kind in ("stubborn", "silent"):
    signal.signal(signal.SIGTERM, lambda *_: None)
    say({"dstream": "resource", "phase": "started", "type": "t", "name": "orders", "op": "create"})
    time.sleep(30)
