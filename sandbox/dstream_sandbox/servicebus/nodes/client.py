"""What the namespace knows about one connection: what it may do and where its answers go."""

from __future__ import annotations

from collections.abc import Callable

from dstream_sandbox.servicebus.access import Grant, Right
from dstream_sandbox.servicebus.amqp.connection import Connection
from dstream_sandbox.servicebus.core import AmqpError
from dstream_sandbox.servicebus.nodes.requests import ReplyLinks

__all__ = ["Client"]


class Client:
    def __init__(self, connection: Connection, clock: Callable[[], float]) -> None:
        self.connection = connection
        self.replies = ReplyLinks()
        self._clock = clock
        self._grants: dict[str, Grant] = {}
        self._whole: Grant | None = None  # from a SASL password

    def grant(self, grant: Grant) -> None:
        """A newer token for a path replaces the older."""
        self._grants[grant.path] = grant

    def grant_by_password(self, grant: Grant) -> None:
        self._whole = grant

    def require(self, path: str, right: Right) -> None:
        now = self._clock()
        grants = [*self._grants.values(), *([self._whole] if self._whole else [])]
        if not any(grant.allows(path, right, now) for grant in grants):
            raise AmqpError(
                "amqp:unauthorized-access",
                f"Unauthorized access. '{right}' claim(s) are required to perform this operation. Resource: '{path}'.",
            )

    def require_any(self, path: str) -> None:
        """$management asks for Send or Listen by operation; its links open for holders of either."""
        try:
            self.require(path, "Listen")
        except AmqpError:
            self.require(path, "Send")
