"""A well-behaved output: appends rows to `sink`, acknowledges each checkpoint, exits after stop and EOF.

`fault` makes it break one rule at checkpoint `at`.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time

from wire import command, fault_of, hello, raw, receive, say, write_stderr

hello("output", os.environ.get("OUT_NAME", "sink"), "ack", *os.environ.get("OUT_MORE", "").split())
line_1 = command()
config = line_1["config"]
if "run" in config:
    with open(config["run"], "w") as file:
        json.dump(line_1["run"], file)
fault, at = fault_of(config), config.get("at", 1)
if fault == "killed_early":
    os.kill(os.getpid(), signal.SIGKILL)
if fault == "refuses":
    say({"status": "error", "message": "old style"})
    sys.exit(1)
if fault == "prose_after_hello":
    raw(b"connecting..\n")
if config.get("ignores_sigterm"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
say({"status": "ready"})
if fault == "stalls":  # sends heartbeats but reads nothing until `go` exists
    beat = 0
    while not os.path.exists(config["go"]):
        beat += 1
        say({"dstream": "heartbeat", "phase": config.get("phase", "throttled"), "reason": config.get("reason", "")})
        say({"dstream": "log", "level": "info", "event": "waiting", "beat": beat})
        time.sleep(0.02)
    say({"dstream": "heartbeat", "phase": "stream"})
if fault == "idle":  # stops reading
    time.sleep(60)
if fault == "child":
    child = subprocess.Popen(
        [sys.executable, "-S", "-E", "-c", "import time; time.sleep(60)"],
        start_new_session=config.get("detached", False),
    )
    with open(config["child"], "w") as file:
        file.write(str(child.pid))
if fault == "beats":
    threading.Thread(
        target=lambda: [(say({"dstream": "heartbeat"}), time.sleep(0.1)) for _ in range(100)], daemon=True
    ).start()


def fail(seq, n):
    if fault == "error":
        say(
            {
                "dstream": "error",
                "code": "sink.full",
                "kind": config.get("kind", "system"),
                "message": "disk full",
                "hint": "make room",
            }
        )
        sys.exit(1)
    if fault == "exit":
        write_stderr("last words")
        sys.exit(9)
    if fault == "killed_midway":  # in the middle of a line
        raw(b'{"dstream":"log","level":"info","event":"x')
    if fault.startswith("killed"):
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "miscounts":
        say({"dstream": "ack", "seq": seq, "n": n - 1})
    if fault == "acks_ahead":
        say({"dstream": "ack", "seq": seq + 1, "n": n})
    if fault == "countless":
        say({"dstream": "ack", "seq": seq})
    if fault == "bad_control":
        raw(b'{"dstream":"ack","seq":}\n')
    if fault == "long_control":
        say({"dstream": "log", "level": "info", "event": "x" * 70_000})
    if fault == "prose":
        raw(b"hello, people\n")
    if fault == "closes_stdin":
        os.close(0)
        time.sleep(60)
    if fault == "silent":
        time.sleep(60)
    if fault == "stuck":
        while receive() is not None:
            pass
        time.sleep(60)


settled = since = rejected = 0
stop_seen = False
sink = open(config["sink"], "ab") if "sink" in config else open(os.devnull, "wb")  # noqa: SIM115
held = []
while (received := receive()) is not None:
    line, message = received
    if message is None:
        sink.write(line)
        since += 1
        if fault == "chatters":  # writes more than its pipes hold while its stdin is full
            for _ in range(30):
                say({"dstream": "log", "level": "debug", "event": "row", "text": "x" * 60_000})
                write_stderr("y" * 15_000)
        if config.get("delay"):
            time.sleep(config["delay"])
    elif message["dstream"] == "checkpoint":
        assert "state" not in message
        sink.flush()
        if fault and message["seq"] == at:
            fail(message["seq"], since)
        held.append((message["seq"], since))
        since = 0
        if len(held) >= config.get("hold_acks", 1):
            say(
                {
                    "dstream": "ack",
                    "seq": held[-1][0],
                    "n": sum(n for _, n in held),
                    "rejected": config.get("rejected", 0),
                }
            )
            held.clear()
    elif message["dstream"] == "stop":
        stop_seen = True
if fault == "forgets":
    sys.exit(0)
if stop_seen and held:
    say({"dstream": "ack", "seq": held[-1][0], "n": sum(n for _, n in held)})
if "stopped" in config:
    with open(config["stopped"], "w") as file:
        file.write(str(stop_seen))
if fault == "bad_exit":
    sys.exit(4)
