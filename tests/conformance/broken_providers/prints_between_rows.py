"""Prints a line between rows."""

from counting import Input, raw


class Broken(Input):
    def checkpoint(self, n, following):
        raw(b"batch of %d done\n" % n)
        super().checkpoint(n, following)


Broken().run()
