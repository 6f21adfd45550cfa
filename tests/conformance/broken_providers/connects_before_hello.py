"""Connects before it sends hello."""

import time

from counting import Input


class Broken(Input):
    def hello(self):
        time.sleep(60)
        super().hello()


Broken().run()
