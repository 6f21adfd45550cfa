"""Acknowledges rows that no checkpoint covers when its stdin ends."""

from counting import Output


class Broken(Output):
    def eof(self):
        if self.rows:
            self.ack(self.seq + 1, self.rows)
        super().eof()


Broken().run()
