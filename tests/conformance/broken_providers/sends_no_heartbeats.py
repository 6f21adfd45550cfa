"""Declares the capability heartbeat but sends none."""

from counting import Output


class Broken(Output):
    capabilities = ("ack", "drain", "heartbeat")


Broken().run()
