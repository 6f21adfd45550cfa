"""Logs its entire config, including the password."""

import sys

from counting import Output


class Broken(Output):
    def answer(self, config):
        sys.stderr.write(f"config: {config}\n")
        super().answer(config)


Broken().run()
