"""Thinks that a checkpoint without rows needs no ack."""

from counting import Output


class Broken(Output):
    def checkpoint(self):
        if self.rows:
            super().checkpoint()


Broken().run()
