"""Says that it sends heartbeats, and sends none."""

from counting import Output


class Broken(Output):
    capabilities = ("ack", "drain", "heartbeat")


Broken().run()
