"""Shows a dead letter without its row."""

from counting import DeadLetters


class Broken(DeadLetters):
    def show(self):
        pass


Broken().run()
