"""Forgets to delete one of what it made."""

from making import Infrastructure


class Broken(Infrastructure):
    def destroy(self):
        steps = super().destroy()
        self.keep([step["name"] for step in steps[1:2]])
        return steps


Broken().run()
