"""The protocol without the SDK: what a provider in any language would implement. Standard library only."""

import json
import os
import sys


def say(message):
    raw((json.dumps(message, separators=(",", ":")) + "\n").encode())


def raw(data):
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def write_stderr(text):
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def hello(role, name, *capabilities, protocol=1, then=b""):
    """`then`: further bytes in the same write, which the host cannot precede with line 1."""
    message = {
        "dstream": "hello",
        "protocol": protocol,
        "role": role,
        "name": name,
        "version": "1.0.0",
        "capabilities": list(capabilities),
    }
    raw(json.dumps(message).encode() + b"\n" + then)


def fault_of(config):
    """The rule to break: `fault`. With `marker`, a file that counts starts: `then` after the first `times` starts."""
    if "marker" not in config:
        return config.get("fault", "")
    with open(config["marker"], "a+") as file:
        file.write("x")
        file.flush()
        return config["fault"] if file.tell() <= config.get("times", 1) else config.get("then", "")


def _read_lines():
    # os.read, because a thread blocked in sys.stdin.buffer makes CPython abort at exit.
    rest = b""
    while data := os.read(0, 65536):
        *lines, rest = (rest + data).split(b"\n")
        yield from (line + b"\n" for line in lines)


_lines = _read_lines()


def receive():
    """The next line from the host as (text, message or None for data); None at EOF."""
    line = next(_lines, None)
    if line is None:
        return None
    return line, (json.loads(line) if line.startswith((b'{"dstream":', b'{"command":')) else None)


def command():
    received = receive()
    if received is None:
        sys.exit(0)
    return received[1]
