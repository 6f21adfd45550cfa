"""Puts the time into its plan."""

import time

from provisioning import Infrastructure


class Broken(Infrastructure):
    def resource(self, name, op):
        return {**super().resource(name, op), "note": f"planned at {time.time_ns()}"}


Broken().run()
