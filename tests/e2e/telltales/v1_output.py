"""An output that leaks everything it knows, also in its infrastructure results."""

import json
import sys

from telling import all_in_one, describe, leak_to_control_lines, leak_to_stderr, leaves, say

say(
    {
        "dstream": "hello",
        "protocol": 1,
        "role": "output",
        "name": "telltale",
        "version": "1",
        "capabilities": ["ack", "infrastructure", "describe"],
    }
)
line_1 = sys.stdin.readline()
if json.loads(line_1)["command"] == "describe":
    describe()
command = json.loads(line_1)
config = command["config"]
leak_to_stderr(line_1)
leak_to_control_lines(line_1)
if command["command"] != "run":
    texts = list(leaves(config))
    options = command["options"]
    is_applied = options.get("init_follows") or options.get("destroy")  # a change of a hidden name would be refused
    resources = [
        {
            "op": "same" if is_applied else "create",
            "phase": "done" if command["command"] == "init" else "planned",
            "type": "test:Queue",
            "name": f"queue {text}",
            "note": all_in_one(line_1),
            "diff": [{"path": "value", "old": text, "new": [text, {"deep": text}]}],
        }
        for text in texts
    ]
    resources.append({**resources[0], "op": "create", "name": "queue"})
    for resource in resources:
        say({"dstream": "resource", **resource})
        say({"dstream": "diagnostic", "severity": "warning", "message": resource["note"], "name": resource["name"]})
    failed = config["end"] == "fails"
    error = {"code": "tell.failed", "kind": "auth", "message": all_in_one(line_1), "hint": all_in_one(line_1)}
    say(
        {
            "status": "Failed" if failed else "Success",
            "resources": resources,
            "metadata": {"summary": {"create": len(resources)}, "outputs": {"config": config, "texts": texts}},
            "message": all_in_one(line_1),
            "error": error if failed else None,
        }
    )
    sys.exit(0)
say({"status": "ready"})
rows = 0
for line in sys.stdin:
    if line.startswith('{"dstream":'):
        message = json.loads(line)
        if message["dstream"] == "checkpoint":
            say({"dstream": "ack", "seq": message["seq"], "n": rows})
            rows = 0
    else:
        rows += 1
