"""Reports drift for resources that it has just created."""

from provisioning import Infrastructure


class Broken(Infrastructure):
    def status(self):
        return [{**each, "op": "update"} for each in super().status()]


Broken().run()
