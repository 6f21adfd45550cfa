"""Conforms to the protocol; its config keeps no dead letters."""

import sys

from counting import DeadLetters, say


class WithoutDeadLetters(DeadLetters):
    def lifecycle(self, line_1):
        if line_1["command"] != "dead_letters":
            super().lifecycle(line_1)
        say({"dstream": "error", "code": "none.kept", "kind": "config", "message": "set dead_letter"})
        sys.exit(3)


WithoutDeadLetters().run()
