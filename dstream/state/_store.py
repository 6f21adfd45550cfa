"""The seam between DStream and the places where checkpoints are stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

from dstream.state._document import StoredState
from dstream.state._holder import TaskLockHolder


class Lease(Protocol):
    """The right to write one task's state; one process has it at a time. Held for the duration of the `with` block.

    Entering raises LockedError `state.locked` if another process holds it, and whatever the backend raises if it
    cannot be taken.
    """

    @property
    def fence(self) -> str:
        """What the backend compares with every write: that of an earlier holder is refused. Empty for a file."""

    @property
    def is_held(self) -> bool:
        """Whether this process can prove, at this moment, that no other one has the right to write."""

    def check(self) -> None:
        """Raise LockedError `state.lease_lost` if another process has taken the lease."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class StateStore(Protocol):
    """The state of one task. A network backend raises UnreachableError `state.unavailable` while it is away, and
    AuthError `state.denied` or ConfigError if its settings are wrong."""

    @property
    def place(self) -> str:
        """Where the checkpoint is, for messages; without credentials."""

    def load(self) -> StoredState | None:
        """Return the stored checkpoint; None if there is none. Raises `state.corrupt`, `state.newer`,
        `state.unreadable`."""

    def save(self, state: StoredState, lease: Lease) -> None:
        """Store the checkpoint durably, and once a minute keep it for a rollback as well. Raises `state.write_failed`
        and keeps the old one; `state.lease_lost` if `lease` is no longer the newest."""

    def keep(self, state: StoredState, lease: Lease) -> None:
        """Keep a checkpoint for a rollback, durably. Raises as `save` does."""

    def history(self) -> Sequence[StoredState]:
        """Return the kept checkpoints, newest first."""

    def remove(self, lease: Lease) -> bool:
        """Delete the checkpoint, but not the history; return False if there was none. Raises as `save` does."""

    def lease(self, since: datetime, command: str = "run") -> Lease:
        """Return the lease to take. `since` and `command` are shown to whoever has to wait."""

    def holder(self) -> TaskLockHolder | None:
        """Return who holds the lease; None if it is free."""

    def close(self) -> None:
        """Close connections."""
