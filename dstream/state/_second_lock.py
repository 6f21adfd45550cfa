"""A task that is locked in a container of Azure Blob Storage as well, wherever its state is.

The original DStream has such a lock: `lock_config` of its reader of SQL Server. It keeps two hosts from running a task,
and fences nothing; the state has its own lease.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Self

from dstream.state._document import StoredState
from dstream.state._holder import TaskLockHolder
from dstream.state._store import Lease, StateStore


@dataclass(frozen=True, slots=True)
class SecondLock:
    """Where the second lock is."""

    connection_string: str = field(repr=False)
    """Of the storage account."""
    container: str
    """It is created if it does not exist."""


class TwiceLockedStore:
    """The store of a task whose lease includes a second one."""

    def __init__(self, store: StateStore, second: StateStore) -> None:
        """`second`: used only for its lease."""
        self._store = store
        self._second = second

    @property
    def place(self) -> str:
        return self._store.place

    def load(self) -> StoredState | None:
        return self._store.load()

    def save(self, state: StoredState, lease: Lease) -> None:
        self._store.save(state, lease)

    def keep(self, state: StoredState, lease: Lease) -> None:
        self._store.keep(state, lease)

    def history(self) -> Sequence[StoredState]:
        return self._store.history()

    def remove(self, lease: Lease) -> bool:
        return self._store.remove(lease)

    def lease(self, since: datetime, command: str = "run") -> Lease:
        return _BothLeases(self._store.lease(since, command), self._second.lease(since, command))

    def holder(self) -> TaskLockHolder | None:
        return self._store.holder() or self._second.holder()

    def close(self) -> None:
        self._store.close()
        self._second.close()


class _BothLeases:
    """Held if both are held; its fence is that of the state."""

    def __init__(self, lease: Lease, second: Lease) -> None:
        self._lease = lease
        self._second = second
        self._held = ExitStack()

    @property
    def fence(self) -> str:
        return self._lease.fence

    @property
    def is_held(self) -> bool:
        return self._lease.is_held and self._second.is_held

    def check(self) -> None:
        self._lease.check()
        self._second.check()

    def __enter__(self) -> Self:
        with ExitStack() as held:
            held.enter_context(self._lease)
            held.enter_context(self._second)
            self._held = held.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()
