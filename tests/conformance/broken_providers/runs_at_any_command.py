"""Streams, whatever it is asked for."""

from counting import Input


class Broken(Input):
    def refuse(self):
        """It does not look at the command."""


Broken().run()
