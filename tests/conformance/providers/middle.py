"""A well-behaved transform: drops the rows whose number is divisible by 4, passes checkpoints on, ends after stop and EOF.

`fault` makes it break one rule at checkpoint `at`.
"""

import json
import os
import sys

from wire import command, fault_of, hello, receive, say, write_stderr

hello("transform", "middle", *os.environ.get("MIDDLE", "checkpoint").split())
config = command()["config"]
fault, at = fault_of(config), config.get("at", 1)
say({"status": "ready"})
last = written = 0
while (received := receive()) is not None:
    line, message = received
    if message is None:
        if json.loads(line)["data"]["n"] % 4:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
            written += 1
        continue
    if message["dstream"] != "checkpoint":
        continue
    assert "state" not in message
    seq, last = message["seq"], message["seq"]
    if fault and seq == at:
        if fault == "skips":
            continue
        if fault == "exits":
            write_stderr("last words")
            sys.exit(0)
        if fault == "ends":
            say({"dstream": "end", "seq": seq - 1})
        if fault == "acks":
            say({"dstream": "ack", "seq": seq, "n": 1})
        if fault == "error":
            say({"dstream": "error", "code": "middle.bad", "kind": "data", "message": "no such row", "hint": "look"})
            sys.exit(1)
        if fault == "miscounts":
            written += 1
    say({"dstream": "checkpoint", "seq": seq, "n": written, "state": {"next": 10_000}})
    written = 0
say({"dstream": "end", "seq": last})
