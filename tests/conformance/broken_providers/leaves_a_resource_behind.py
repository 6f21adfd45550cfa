"""Does not delete one of the resources that it created."""

from provisioning import Infrastructure


class Broken(Infrastructure):
    def destroy(self):
        steps = super().destroy()
        self.save([step["name"] for step in steps[1:2]])
        return steps


Broken().run()
