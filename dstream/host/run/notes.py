"""The notes that a run's threads send to its main thread, through one mailbox."""

from __future__ import annotations

import queue
from dataclasses import dataclass

from dstream.errors import DStreamError
from dstream.protocol.handshake import Step
from dstream.protocol.messages import Role


@dataclass(frozen=True, slots=True)
class Said:
    """A step of a provider's handshake."""

    role: Role
    step: Step


@dataclass(frozen=True, slots=True)
class Failed:
    """An error that ends the pair; `by_provider`: the provider itself reported it."""

    role: Role | None
    error: DStreamError
    by_provider: bool = False


@dataclass(frozen=True, slots=True)
class Exited:
    """The process is gone; what it wrote may still be in its pipes."""

    role: Role


@dataclass(frozen=True, slots=True)
class Closed:
    """Everything that the provider wrote to stdout has been read."""

    role: Role


@dataclass(frozen=True, slots=True)
class StdinBroken:
    """The provider no longer reads its stdin: it died, or closed it."""

    role: Role


@dataclass(frozen=True, slots=True)
class Stored:
    """A checkpoint is on disk, and its ack is on the way to the input."""

    seq: int


@dataclass(frozen=True, slots=True)
class Wake:
    """A condition that the main thread checks has changed: a stop request or the input's end."""


Note = Said | Failed | Exited | Closed | StdinBroken | Stored | Wake
Mailbox = queue.SimpleQueue[Note]
"""Unbounded, so that no thread waits for the main thread."""
