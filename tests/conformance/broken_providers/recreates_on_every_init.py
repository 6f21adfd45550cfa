"""Creates everything again on each init."""

from provisioning import Infrastructure


class Broken(Infrastructure):
    def init(self):
        return [{**step, "op": "create"} for step in super().init()]


Broken().run()
