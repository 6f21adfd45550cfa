"""The namespace's state of one connection: its grants, and the links for its responses."""

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
        """Add a grant. A newer token for a path replaces the older one."""
        self._grants[grant.path] = grant

    def grant_by_password(self, grant: Grant) -> None:
        self._whole = grant

    @property
    def is_logged_in(self) -> bool:
        return bool(self._grants) or self._whole is not None

    def require(self, path: str, right: Right) -> None:
        now = self._clock()
        grants = [*self._grants.values(), *([self._whole] if self._whole else [])]
        if not any(grant.allows(path, right, now) for grant in grants):
            raise AmqpError(
                "amqp:unauthorized-access",
                f"Unauthorized access. '{right}' claim(s) are required to perform this operation. Resource: '{path}'.",
            )

    def require_any(self, path: str) -> None:
        """Require Send or Listen. Links to $management need either; its operations need a specific one."""
        try:
            self.require(path, "Listen")
        except AmqpError:
            self.require(path, "Send")
