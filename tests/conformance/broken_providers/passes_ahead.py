"""A transform that passes a checkpoint on before it has received it."""

from counting import Transform


class Broken(Transform):
    def pass_on(self, seq, n):
        super().pass_on(seq + 1, n)


Broken().run()
