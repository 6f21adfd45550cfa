"""How the main thread's work is cut short."""

from __future__ import annotations

from dstream.errors import DStreamError
from dstream.protocol.messages import Role


class Broken(Exception):
    """Something failed, and what is known."""

    def __init__(self, error: DStreamError) -> None:
        super().__init__(error.message)
        self.error = error


class Lost(Exception):
    """A provider is gone before its time; why is asked after both have ended."""

    def __init__(self, role: Role) -> None:
        super().__init__(f"{role} is gone")
        self.role: Role = role


class Interrupted(Exception):
    """The user wants an end now, or the time for a clean one is over."""


class MustRestart(Exception):
    """A provider that was taken for legacy said hello: start anew, and wait for it this time."""

    def __init__(self, role: Role) -> None:
        super().__init__(f"{role} said hello late")
        self.role: Role = role
