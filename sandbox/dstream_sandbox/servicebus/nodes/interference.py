"""The injected faults of one link: dropping its connection, killing the server, delaying or omitting responses."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence

from dstream_sandbox.servicebus.amqp.link import IncomingLink, OutgoingLink
from dstream_sandbox.servicebus.core import Message
from dstream_sandbox.servicebus.faults import Fault, FaultKind, Faults, Moment, Side

__all__ = ["Interference"]


class Interference:
    def __init__(self, faults: Faults, link: IncomingLink | OutgoingLink, path: str, side: Side) -> None:
        self._faults = faults
        self._link = link
        self._path = path
        self._side = side

    def __bool__(self) -> bool:
        """Whether there are any faults to check."""
        return bool(self._faults)

    def strike(self, kind: FaultKind, at: Moment | None = None, *, messages: Sequence[Message] = ()) -> Fault | None:
        """`messages`: those of a transfer."""
        return self._faults.strike(kind, self._path, on=self._side, at=at, messages=messages)

    def disturb_idle(self) -> None:
        """Apply the faults of an idle link."""
        self._breaks_link("idle")

    def lets_store(self) -> bool:
        """Apply faults before storing. Return whether to continue."""
        return not self._breaks_link("before_store")

    async def lets_answer(self) -> bool:
        """Apply faults before responding. Return whether to respond."""
        if self._breaks_link("after_store"):
            return False
        fault = self.strike("delay")
        if fault is not None:
            await asyncio.sleep(fault.seconds)
        return True

    def _breaks_link(self, at: Moment) -> bool:
        """Apply the faults that end the link, or leave it without an answer. Return whether one did."""
        if self.strike("drop", at):
            self._link.connection.abort()
            return True
        if self.strike("kill", at):
            _kill_server()
        fault = self.strike("detach", at)
        if fault is not None:
            self._link.detach(fault.error())
            return True
        return self.strike("silence", at) is not None


def _kill_server() -> None:
    """Kill the process without any clean-up."""
    os.kill(os.getpid(), signal.SIGKILL)
