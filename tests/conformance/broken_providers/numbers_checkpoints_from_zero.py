"""Numbers checkpoints from 0."""

from counting import Input


class Broken(Input):
    def stream(self, first):
        self.seq = self.acknowledged = -1
        super().stream(first)


Broken().run()
