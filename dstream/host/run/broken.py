"""How the main thread's work is cut short."""

from __future__ import annotations

from dstream.protocol.messages import Role


class Lost(Exception):
    """A provider is gone before its time; why is asked after both have ended."""

    def __init__(self, role: Role) -> None:
        super().__init__(f"{role} is gone")
        self.role: Role = role


class Interrupted(Exception):
    """The user wants an end now, or the time for a clean one is over."""
