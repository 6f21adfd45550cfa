"""A transform that writes its end line at any EOF."""

from counting import Transform


class Broken(Transform):
    def eof(self):
        self.stopped = True
        super().eof()


Broken().run()
