"""Makes everything once more at each init."""

from making import Infrastructure


class Broken(Infrastructure):
    def init(self):
        return [{**step, "op": "create"} for step in super().init()]


Broken().run()
