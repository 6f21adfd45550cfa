"""Counts one row too many from its second checkpoint on."""

from counting import Input


class Broken(Input):
    def checkpoint(self, n, following):
        super().checkpoint(n + (self.seq > 0), following)


Broken().run()
