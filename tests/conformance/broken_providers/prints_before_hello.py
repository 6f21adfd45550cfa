"""Prints a line before its hello."""

from counting import Input, raw


class Broken(Input):
    def hello(self):
        raw(b"Starting up\n")
        super().hello()


Broken().run()
