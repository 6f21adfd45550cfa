"""Exceptions that interrupt the main thread without being errors."""

from __future__ import annotations

from dstream.protocol.messages import Role


class Lost(Exception):
    """A provider is gone before its work was done; the cause is determined after both have ended."""

    def __init__(self, role: Role) -> None:
        super().__init__(f"{role} is gone")
        self.role: Role = role


class Interrupted(Exception):
    """The user requested an immediate stop, or the drain deadline has passed."""
