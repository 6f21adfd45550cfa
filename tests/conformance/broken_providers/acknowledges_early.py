"""Acknowledges each row on arrival, before it receives the checkpoint."""

from counting import Output


class Broken(Output):
    def row(self, line):
        super().row(line)
        self.ack(self.seq + 1, self.rows)
        self.rows = 0


Broken().run()
