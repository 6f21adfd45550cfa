"""Exits immediately when it receives stop."""

import os

from counting import Input


class Broken(Input):
    def heard(self, message):
        if message["dstream"] == "stop":
            os._exit(0)
        super().heard(message)


Broken().run()
