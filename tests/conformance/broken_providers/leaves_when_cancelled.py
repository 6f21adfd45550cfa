"""Waits within a step for a word of the host, and when it is cancelled it just goes."""

import sys

from making import Infrastructure


class Broken(Infrastructure):
    def carry_out(self, step):
        if step["op"] == "create" and not self.there():
            super().carry_out(step)
            next(self.lines, None)
            sys.exit(1)
        super().carry_out(step)


Broken().run()
