"""Gives the password away with its outputs."""

from making import Infrastructure


class Broken(Infrastructure):
    def success(self, resources):
        super().success(resources, login=self.config.get("password"))


Broken().run()
