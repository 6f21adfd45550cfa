"""Creates resources during plan."""

from provisioning import Infrastructure


class Broken(Infrastructure):
    def plan(self):
        steps = super().plan()
        if not self.options["destroy"]:
            self.save(self.config["boxes"])
        return steps


Broken().run()
