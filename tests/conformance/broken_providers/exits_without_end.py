"""A transform that exits without an end line."""

from counting import Transform


class Broken(Transform):
    def end(self):
        pass


Broken().run()
