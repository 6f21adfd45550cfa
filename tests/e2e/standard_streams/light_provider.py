"""An input or output, by the end of its name, that starts in milliseconds because it imports nothing of DStream."""

import json
import sys

ROWS = 3
OF_ROLE = {
    "input": ["checkpoint", "ack", "drain", "describe"],
    "output": ["ack", "drain", "describe", "infrastructure"],
}
ORDERS = {"name": "orders", "type": "light:Queue", "op": "create", "phase": "planned"}


def say(line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def answer(command):
    if command == "describe":
        say({"dstream": "description", "config_schema": {"type": "object"}, "summary": "light"})
        return
    op = {"destroy": "delete", "status": "update"}.get(command, "create")
    phase = "planned" if command == "plan" else "done"
    resource = {**ORDERS, "op": op, "phase": phase}
    if phase == "done" and command != "status":
        say({"dstream": "resource", **resource, "phase": "started"})
        say({"dstream": "resource", **resource})
    say({"status": "Success", "resources": [resource], "metadata": {"plan": {"of": "light"}}})


def read():
    say({"status": "ready"})
    for number in range(ROWS):
        say({"data": {"value": number}, "metadata": {}})
    say({"dstream": "checkpoint", "seq": 1, "n": ROWS, "state": {"next": ROWS}})
    say({"dstream": "end", "seq": 1})
    sys.stdin.read()


def write():
    say({"status": "ready"})
    rows = []
    for line in sys.stdin:
        message = json.loads(line)
        if "data" in message:
            rows.append(message["data"])
        elif message["dstream"] == "checkpoint":
            with open("rows.json", "w") as file:
                json.dump(rows, file)
            say({"dstream": "ack", "seq": message["seq"], "n": message["n"]})


role = sys.argv[0].rpartition("-")[2]
say({"dstream": "hello", "protocol": 1, "role": role, "name": "light", "version": "1", "capabilities": OF_ROLE[role]})
first = json.loads(sys.stdin.readline() or "{}")
if first.get("command", "run") != "run":
    answer(first["command"])
elif first:
    read() if role == "input" else write()
