"""Fails with a bad config, and does not say what is bad about it."""

from making import Infrastructure, say


class Broken(Infrastructure):
    def bad_config(self, name):
        say(
            {
                "status": "Failed",
                "message": "bad config",
                "error": {"code": "b", "kind": "config", "message": "bad config"},
            }
        )


Broken().run()
