"""Ends each answer with the count 0."""

from counting import DeadLetters


class Broken(DeadLetters):
    def done(self, count):
        super().done(0)


Broken().run()
