"""Fails on an option from a later version."""

from provisioning import OPTIONS, Infrastructure


class Broken(Infrastructure):
    def plan(self):
        if unknown := [name for name in self.options if name.startswith("option_") and name not in OPTIONS]:
            raise TypeError(f"unexpected option {unknown[0]}")
        return super().plan()


Broken().run()
