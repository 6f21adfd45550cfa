"""The admin endpoint: entities as Atom XML over HTTP, as Microsoft's administration clients speak it."""

from __future__ import annotations

import ssl

from dstream_sandbox.servicebus.access import KeyRing, SharedKey
from dstream_sandbox.servicebus.admin.listener import AdminListener
from dstream_sandbox.servicebus.admin.routes import AdminRoutes, Control
from dstream_sandbox.servicebus.broker import LocalBroker

__all__ = ["AdminListener", "Control", "serve_admin"]


async def serve_admin(
    broker: LocalBroker,
    *,
    port: int,
    ssl_context: ssl.SSLContext | None,
    key_name: str,
    key: str,
    control: Control | None = None,
    host: str = "127.0.0.1",
) -> AdminListener:
    """Listen on `port` (0: a free one), for https where there is an `ssl_context` and for http always.

    `control` answers what is below `/_sandbox/`, which like `/health` asks for no token.
    """
    routes = AdminRoutes(broker, KeyRing([SharedKey(key_name, (key,))]), control)
    return AdminListener.bind(host, port, ssl_context, routes.answer)
