"""Streams regardless of the command."""

from counting import Input


class Broken(Input):
    def refuse(self):
        """Ignore the command."""


Broken().run()
