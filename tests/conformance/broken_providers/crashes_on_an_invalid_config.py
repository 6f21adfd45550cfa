"""Exits with a traceback if its config is invalid."""

from counting import Input, say


class Broken(Input):
    def answer(self, config):
        for name in config:
            {"password": str}[name]
        say({"status": "ready"})


Broken().run()
