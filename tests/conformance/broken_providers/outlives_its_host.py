"""Does not notice that its stdin has ended."""

import time

from counting import Input


class Broken(Input):
    def eof(self, after_stop):
        if not after_stop:
            time.sleep(60)


Broken().run()
