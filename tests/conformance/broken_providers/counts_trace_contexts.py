"""Counts a trace context as a row."""

from counting import Output


class Broken(Output):
    capabilities = (*Output.capabilities, "trace")

    def heard(self, line):
        self.rows += line.startswith(b'{"dstream":"trace"')
        super().heard(line)


Broken().run()
