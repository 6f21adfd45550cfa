"""An input that leaks everything it knows, then ends as `config.end` specifies."""

import json
import sys

from telling import all_in_one, describe, leak_to_control_lines, leak_to_stderr, leaves, out, say

say(
    {
        "dstream": "hello",
        "protocol": 1,
        "role": "input",
        "name": "telltale",
        "version": "1",
        "capabilities": ["checkpoint", "ack", "once", "describe"],
    }
)
line_1 = sys.stdin.readline()
if json.loads(line_1)["command"] == "describe":
    describe()
config = json.loads(line_1)["config"]
end = config["end"]
leak_to_stderr(line_1)
leak_to_control_lines(line_1)
if end == "refuses":
    error = {"code": "tell.refused", "kind": "auth", "message": all_in_one(line_1), "hint": all_in_one(line_1)}
    error["config_path"] = "drawer.code"
    say({"status": "error", "message": all_in_one(line_1), "error": error})
    sys.exit(1)
sys.stdin.readline()
say({"status": "ready"})
if end == "error":
    say({"dstream": "error", "code": "tell.failed", "kind": "data", "message": all_in_one(line_1), "hint": line_1})
    sys.exit(1)
if end == "crash":
    raise RuntimeError(all_in_one(line_1))
if end == "bad_line":
    out('{"dstream":' + line_1)
    sys.exit(1)
out('{"data":{"n":1}}\n')
state = {"position": list(leaves(config))} if end == "state" else {"position": 1}
say({"dstream": "checkpoint", "seq": 1, "n": 1, "state": state})
if end != "hold":
    say({"dstream": "end", "seq": 1})
for line in sys.stdin:
    if end == "hold" and '"stop"' in line:
        say({"dstream": "end", "seq": 1})
