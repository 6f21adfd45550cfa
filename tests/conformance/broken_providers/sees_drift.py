"""Finds a drift in what it has just made."""

from making import Infrastructure


class Broken(Infrastructure):
    def status(self):
        return [{**each, "op": "update"} for each in super().status()]


Broken().run()
