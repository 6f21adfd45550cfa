"""The protocol by hand, standard library only: what a provider in any language would write."""

import json
import os
import sys


def say(message):
    raw((json.dumps(message, separators=(",", ":")) + "\n").encode())


def raw(data):
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def hello(role, name, *capabilities, protocol=1):
    say(
        {
            "dstream": "hello",
            "protocol": protocol,
            "role": role,
            "name": name,
            "version": "1.0.0",
            "capabilities": list(capabilities),
        }
    )


_lines = iter(lambda: sys.stdin.buffer.readline(), b"")


def hear():
    """The next line from the host as (text, message or None for data); None at EOF."""
    line = next(_lines, None)
    if line is None:
        return None
    return line, (json.loads(line) if line.startswith((b'{"dstream":', b'{"command":')) else None)


def command():
    heard = hear()
    if heard is None:
        sys.exit(0)
    return heard[1]
