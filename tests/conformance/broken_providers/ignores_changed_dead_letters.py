"""Answers for any dead letter, even one that it does not have."""

from counting import DeadLetters


class Broken(DeadLetters):
    def refuse_changed(self):
        self.done(0)
        raise SystemExit(0)


Broken().run()
