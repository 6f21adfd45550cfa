"""Stops reading in the middle of a row over 64 KiB, with most of it not yet in its pipe."""

import fcntl
import os
import time

from counting import Output


class Broken(Output):
    def answer(self, config):
        fcntl.fcntl(0, fcntl.F_SETPIPE_SZ, 65536)  # what a user gets whose quota for pipes is used up (pipe(7))
        self.lines = rows()
        super().answer(config)


def rows():
    rest = b""
    while chunk := os.read(0, 65536):
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > 65536:
            time.sleep(60)
        yield from whole


Broken().run()
