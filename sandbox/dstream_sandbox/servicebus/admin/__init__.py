"""The admin endpoint: entities as Atom XML over HTTP, for Microsoft's administration clients."""

from dstream_sandbox.servicebus.admin.listener import AdminListener
from dstream_sandbox.servicebus.admin.routes import AdminRoutes, Control

__all__ = ["AdminListener", "AdminRoutes", "Control"]
