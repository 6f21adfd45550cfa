"""The ways in which a program can leak its config."""

import base64
import json
import os
import sys
import urllib.parse


def say(message):
    out(json.dumps(message) + "\n")


def out(text):
    data = text.encode()
    while data:
        data = data[os.write(1, data) :]


def leaves(value):
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, str):
        yield value


def leaks(line_1):
    """Lines of text with the whole config."""
    yield line_1.rstrip("\n")
    config = json.loads(line_1)
    yield repr(config)
    yield from json.dumps(config, indent=2).splitlines()
    yield from json.dumps(config, indent=2, ensure_ascii=False).splitlines()
    for leaf in leaves(config):
        yield from f"connecting with {leaf} now".splitlines()
        yield f"https://host/?value={urllib.parse.quote(leaf, safe='')}"
        yield "form " + urllib.parse.quote_plus(urllib.parse.quote(leaf))
        yield "escaped " + "".join(f"\\u{ord(char):04X}" for char in leaf)
        yield "Basic " + base64.b64encode(f"reader:{leaf}".encode()).decode()
        yield "hash? " + leaf.encode().hex()


def leak_to_stderr(line_1):
    for text in leaks(line_1):
        sys.stderr.write(text + "\n")
    sys.stderr.flush()


def leak_to_control_lines(line_1):
    """Leak the config in each kind of control line of a v1 provider."""
    config = json.loads(line_1)["config"]
    say({"dstream": "log", "level": "info", "event": "starting", "config": config, "raw": line_1, "list": [config]})
    for leaf in leaves(config):
        say({"dstream": "log", "level": "error", "event": f"failed with {leaf}", leaf: leaf})
        say({"dstream": "metric", "name": "opened", "kind": "counter", "value": 1, "labels": {"to": leaf}})
        say({"dstream": "heartbeat", "phase": "stream", "lag_ms": 1})


def all_in_one(line_1):
    """The whole config as one text, for an error."""
    return f"can't connect with {line_1.rstrip()}: " + " ".join(leaves(json.loads(line_1)))


def describe():
    """Describe settings whose names reveal nothing, and which only the schema marks as secret."""
    secret = {"anyOf": [{"type": "string", "writeOnly": True}, {"type": "null"}]}
    schema = {
        "$ref": "#/$defs/Config",
        "$defs": {
            "Config": {
                "type": "object",
                "properties": {
                    "pin": {"type": "string", "writeOnly": True},
                    "drawer": {"$ref": "#/$defs/Drawer"},
                    "doors": {"type": "array", "items": {"$ref": "#/$defs/Drawer"}},
                    "rooms": {"type": "object", "additionalProperties": {"type": "string", "writeOnly": True}},
                },
            },
            "Drawer": {"type": "object", "properties": {"code": secret}},
        },
    }
    say({"dstream": "description", "config_schema": schema})
    sys.exit(0)
