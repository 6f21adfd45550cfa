"""Plays a recorded stream: `player.py FILE`. tests/conformance/test_streams.py describes the steps."""

import json
import os
import sys

from wire import raw, receive


def wait_for(wanted):
    while (received := receive()) is not None:
        message = received[1] or {}
        if wanted != "eof" and wanted.items() <= message.items():
            return
    if wanted != "eof":
        sys.exit(f"the host did not send {wanted}")


def data(step):
    if "hex" in step:
        return bytes.fromhex(step["hex"])
    if "fill" in step:
        return step["fill"].encode() * step["times"]
    return step.get("row", step.get("line", step.get("part", ""))).encode() + b"\n" * ("part" not in step)


with open(sys.argv[1]) as file:
    _, *steps = [json.loads(line) for line in file]
for step in steps:
    if "wait" in step:
        wait_for(step["wait"])
    elif "exit" in step:
        os._exit(step["exit"])
    else:
        raw(data(step))
