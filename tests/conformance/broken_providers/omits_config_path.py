"""Rejects an invalid config without naming the setting."""

from provisioning import Infrastructure, say


class Broken(Infrastructure):
    def reject_config(self, name):
        say(
            {
                "status": "Failed",
                "message": "invalid config",
                "error": {"code": "b", "kind": "config", "message": "invalid config"},
            }
        )


Broken().run()
