"""Ends with a traceback when it does not like its config."""

from counting import Input, say


class Broken(Input):
    def answer(self, config):
        for name in config:
            {"password": str}[name]
        say({"status": "ready"})


Broken().run()
