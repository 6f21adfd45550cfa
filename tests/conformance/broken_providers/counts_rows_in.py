"""A transform that passes on the number of rows that it received."""

from counting import Transform


class Broken(Transform):
    def heard(self, line):
        if line.startswith(b'{"dstream":"checkpoint"'):
            self.rows = self.received
            self.received = 0
        super().heard(line)


Broken().run()
