"""Writes the password into its outputs."""

from provisioning import Infrastructure


class Broken(Infrastructure):
    def success(self, resources):
        super().success(resources, login=self.config.get("password"))


Broken().run()
