"""Makes what it is only to plan."""

from making import Infrastructure


class Broken(Infrastructure):
    def plan(self):
        steps = super().plan()
        if not self.options["destroy"]:
            self.keep(self.config["boxes"])
        return steps


Broken().run()
