"""Providers of the original protocol, modeled on its .NET SDK: `input` or `output SINK`."""

import json
import os
import sys


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def input_provider():
    asked = json.loads(sys.stdin.read())
    config = asked.get("config", asked)
    say({"status": "ready"})
    for number in range(config["rows"]):
        say({"data": {"n": number}, "metadata": {"TableName": "t", "OperationType": "Insert"}})


def output_provider(sink):
    asked = json.loads(sys.stdin.readline())
    if asked["command"] != "run":
        sys.stdin.read()  # waits for EOF: a host that keeps stdin open would wait forever
        return infrastructure(asked["command"], asked["config"])
    say({"status": "ready"})
    with open(sink, "a") as file:
        for line in sys.stdin:
            file.write(line)
    return 0


def infrastructure(command, config):
    sys.stderr.write(command + " started\n")
    failed = config.get("fails", False)
    say(
        {
            "status": "Failed" if failed else "Success",
            "resources": [] if failed else ["queue orders"],
            "metadata": {"command": command},
            "message": "quota exceeded" if failed else command + " done",
            "error": "quota exceeded" if failed else None,
        }
    )
    return 0


if sys.argv[1] == "input":
    input_provider()
else:
    code = output_provider(sys.argv[2])
    os.close(1)
    sys.exit(code)
