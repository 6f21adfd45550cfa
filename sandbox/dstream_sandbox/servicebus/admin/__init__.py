"""The admin endpoint: entities as Atom XML over HTTP, as Microsoft's administration clients speak it."""

from dstream_sandbox.servicebus.admin.listener import AdminListener
from dstream_sandbox.servicebus.admin.routes import AdminRoutes, Control

__all__ = ["AdminListener", "AdminRoutes", "Control"]
