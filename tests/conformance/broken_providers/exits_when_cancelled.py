"""Waits for the host in the middle of a step and, when cancelled, exits without a result."""

import sys

from provisioning import Infrastructure


class Broken(Infrastructure):
    def apply(self, step):
        if step["op"] == "create" and not self.existing():
            super().apply(step)
            next(self.lines, None)
            sys.exit(1)
        super().apply(step)


Broken().run()
