"""Locks on tables, rows and key values, with waiting, timeout, and deadlock detection (Microsoft Learn, "Transaction
locking and row versioning guide").

A resource is any hashable value. Table modes: IX (a transaction changes rows), S, X; row and key modes: S, X. A request
waits for an earlier incompatible one, so that writers do not starve a shared table lock. The requester that closes a
cycle is the victim (1205)."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Iterable

from dstream_sandbox.sqlserver.session import SqlError

_COMPATIBLE = frozenset({("S", "S"), ("IX", "IX")})
_POLL_S = 0.2


class Cancelled(Exception):
    """ATTENTION arrived while the session was waiting."""


class LockOwner:
    """A transaction, as the lock manager sees it."""

    def __init__(self, spid: int) -> None:
        self.spid = spid
        self.held: dict[Hashable, set[str]] = {}
        self.cancelled = False


class LockManager:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._holders: dict[Hashable, dict[LockOwner, set[str]]] = {}
        self._waiting: dict[LockOwner, tuple[Hashable, str]] = {}
        self._queues: dict[Hashable, list[tuple[LockOwner, str]]] = {}

    def try_acquire(self, owner: LockOwner, resource: Hashable, mode: str) -> bool:
        """Take the lock if nothing blocks it."""
        with self._changed:
            if self._blockers(owner, resource, mode):
                return False
            self._grant(owner, resource, mode)
            return True

    def try_acquire_all(self, owner: LockOwner, resources: Iterable[Hashable], mode: str) -> Hashable | None:
        """Take locks one after another. Return the first that is not free, keeping those already taken."""
        with self._changed:
            for resource in resources:
                held = owner.held.get(resource)
                if held is not None and mode in held:
                    continue
                if self._blockers(owner, resource, mode):
                    return resource
                self._grant(owner, resource, mode)
        return None

    def acquire(self, owner: LockOwner, resource: Hashable, mode: str, timeout_ms: int) -> bool:
        """Take the lock, waiting up to `timeout_ms` (-1: forever). Return whether it waited. Raises 1205, 1222,
        Cancelled."""
        with self._changed:
            if not self._blockers(owner, resource, mode):
                self._grant(owner, resource, mode)
                return False
            self._queues.setdefault(resource, []).append((owner, mode))
            self._waiting[owner] = (resource, mode)
            try:
                self._wait(owner, resource, mode, timeout_ms)
                self._grant(owner, resource, mode)
            finally:
                del self._waiting[owner]
                queue = self._queues[resource]
                queue.remove((owner, mode))
                if not queue:
                    del self._queues[resource]
                self._changed.notify_all()
            return True

    def _wait(self, owner: LockOwner, resource: Hashable, mode: str, timeout_ms: int) -> None:
        deadline = None if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000
        while self._blockers(owner, resource, mode):
            if owner.cancelled:
                raise Cancelled
            if self._in_circle(owner):
                raise deadlock_victim(owner.spid)
            left = _POLL_S if deadline is None else min(deadline - time.monotonic(), _POLL_S)
            if left <= 0:
                raise SqlError(1222, "Lock request time out period exceeded.", state=45)
            self._changed.wait(left)

    def release_all(self, owner: LockOwner) -> None:
        with self._changed:
            for resource in owner.held:
                self._drop(owner, resource)
            owner.held.clear()
            self._changed.notify_all()

    def release(self, owner: LockOwner, resource: Hashable, mode: str) -> None:
        with self._changed:
            modes = owner.held.get(resource)
            if modes is None:
                return
            modes.discard(mode)
            if not modes:
                del owner.held[resource]
                self._drop(owner, resource)
            self._changed.notify_all()

    def wake(self) -> None:
        """Wake the waiters after a cancellation."""
        with self._changed:
            self._changed.notify_all()

    def blocked(self) -> dict[int, int]:
        """Return each waiting spid with one spid that blocks it."""
        with self._changed:
            found: dict[int, int] = {}
            for owner, (resource, mode) in self._waiting.items():
                blockers = self._blockers(owner, resource, mode)
                if blockers:
                    found[owner.spid] = next(iter(blockers)).spid
            return found

    def _drop(self, owner: LockOwner, resource: Hashable) -> None:
        holders = self._holders[resource]
        del holders[owner]
        if not holders:
            del self._holders[resource]

    def _grant(self, owner: LockOwner, resource: Hashable, mode: str) -> None:
        modes = owner.held.setdefault(resource, set())
        modes.add(mode)
        self._holders.setdefault(resource, {})[owner] = modes

    def _blockers(self, owner: LockOwner, resource: Hashable, mode: str) -> set[LockOwner]:
        holders = self._holders.get(resource)
        found: set[LockOwner] = set()
        if holders is not None:
            for other, modes in holders.items():
                if other is not owner and any((held, mode) not in _COMPATIBLE for held in modes):
                    found.add(other)
        queue = self._queues.get(resource)
        if queue is not None and resource not in owner.held:
            for other, wanted in queue:
                if other is owner:
                    break
                if (wanted, mode) not in _COMPATIBLE:
                    found.add(other)
        return found

    def _in_circle(self, start: LockOwner) -> bool:
        seen: set[LockOwner] = set()
        pending = [start]
        while pending:
            waits = self._waiting.get(pending.pop())
            if waits is None:
                continue
            owner_waiting = next(o for o, w in self._waiting.items() if w is waits)
            for blocker in self._blockers(owner_waiting, *waits):
                if blocker is start:
                    return True
                if blocker not in seen:
                    seen.add(blocker)
                    pending.append(blocker)
        return False


def deadlock_victim(spid: int) -> SqlError:
    text = (
        f"Transaction (Process ID {spid}) was deadlocked on lock resources with another process and has "
        "been chosen as the "
        "deadlock victim. Rerun the transaction."
    )
    return SqlError(1205, text, severity=13, state=45)
