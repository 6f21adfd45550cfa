"""A small output with infrastructure that keeps to the protocol, for scripts beside this that break one rule each.

Standard library only. Its infrastructure is the names under `boxes` in a JSON file; a command has one step a name.
"""

import json
import os
import sys

from counting import Output, say

DEFAULT = {"boxes": ["first", "second"]}
OPTIONS = {"destroy", "target", "refresh_only"}


class Infrastructure(Output):
    capabilities = ("ack", "drain", "infrastructure")

    def lifecycle(self, line_1):
        self.config = {**DEFAULT, **line_1["config"]}
        self.options = line_1["options"]
        self.file = os.path.join(line_1["infrastructure"]["work_dir"], "boxes.json")
        if unknown := set(self.config) - {"boxes", "password"}:
            self.bad_config(min(unknown))
        else:
            self.success(getattr(self, line_1["command"])())
        sys.exit(0)

    def bad_config(self, name):
        error = {"code": "making.unknown", "kind": "config", "message": f"there is no {name}", "config_path": name}
        say({"status": "Failed", "message": error["message"], "error": error})

    def success(self, resources, **outputs):
        say(
            {
                "status": "Success",
                "resources": resources,
                "metadata": {"outputs": outputs},
                "message": "",
                "error": None,
            }
        )

    def plan(self):
        if self.options["destroy"]:
            return [self.resource(name, "delete") for name in self.there()]
        return [self.resource(name, "same" if name in self.there() else "create") for name in self.config["boxes"]]

    def init(self):
        steps = self.plan()
        for step in steps:
            self.carry_out(step)
        return steps

    def carry_out(self, step):
        say({"dstream": "resource", "phase": "started", **step})
        self.keep([*(name for name in self.there() if name != step["name"]), step["name"]])

    def status(self):
        return [self.resource(name, "same") for name in self.there()]

    def destroy(self):
        steps = [self.resource(name, "delete") for name in self.there()]
        self.keep([])
        return steps

    def resource(self, name, op):
        return {"name": name, "type": "test:Box", "op": op}

    def there(self):
        if not os.path.exists(self.file):
            return []
        with open(self.file) as file:
            return json.load(file)

    def keep(self, names):
        with open(self.file, "w") as file:
            json.dump(names, file)
