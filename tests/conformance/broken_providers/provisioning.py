"""A small, conforming output with infrastructure; other scripts in this folder each break one rule of it.

Standard library only. Its resources are the names in `boxes`, kept in a JSON file; a command has one step per name.
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
            self.reject_config(min(unknown))
        else:
            self.success(getattr(self, line_1["command"])())
        sys.exit(0)

    def reject_config(self, name):
        error = {
            "code": "provisioning.unknown",
            "kind": "config",
            "message": f"unknown setting {name}",
            "config_path": name,
        }
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
            return [self.resource(name, "delete") for name in self.existing()]
        return [self.resource(name, "same" if name in self.existing() else "create") for name in self.config["boxes"]]

    def init(self):
        steps = self.plan()
        for step in steps:
            self.apply(step)
        return steps

    def apply(self, step):
        say({"dstream": "resource", "phase": "started", **step})
        self.save([*(name for name in self.existing() if name != step["name"]), step["name"]])

    def status(self):
        return [self.resource(name, "same") for name in self.existing()]

    def destroy(self):
        steps = [self.resource(name, "delete") for name in self.existing()]
        self.save([])
        return steps

    def resource(self, name, op):
        return {"name": name, "type": "test:Box", "op": op}

    def existing(self):
        if not os.path.exists(self.file):
            return []
        with open(self.file) as file:
            return json.load(file)

    def save(self, names):
        with open(self.file, "w") as file:
            json.dump(names, file)
