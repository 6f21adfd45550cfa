"""Waits for the lock of a stack."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from pulumi.automation.errors import ConcurrentUpdateError

from dstream.infra.engine.locks import StackLockHolder, holders_in, locked, named_in, remove_dead
from dstream.infra.engine.session import Session
from dstream.sdk import InfrastructureContext

T = TypeVar("T")

_POLL_S = 0.2
_LONGEST_POLL_S = 10.0
"""For remote backends, where each look starts the engine."""
_RACES = 5
"""Retries after a lock race: the engine may reject both of two simultaneous attempts (pulumi/pkg/backend/diy/lock.go).
"""


class Turn:
    """Runs work that takes the stack's lock, once no other command holds it."""

    def __init__(self, session: Session, context: InfrastructureContext) -> None:
        self._session = session
        self._place = session.place
        self._context = context
        self._races = 0
        self._told: set[str] = set()

    def run(self, work: Callable[[], T]) -> T:
        """Run `work`, waiting for other holders up to `lock_timeout_s`. Raises LockedError `infra.locked`."""
        deadline_s = time.monotonic() + self._context.options.lock_timeout_s
        patience_s = _POLL_S
        has_waited = False
        while True:
            self._context.check()
            self._remove_dead_locks()
            held_by = holders_in(self._place)
            if not held_by:
                try:
                    if has_waited and self._place.folder is None:
                        self._session.look_for_lock()  # `work` may read every resource before it takes the lock
                    return work()
                except ConcurrentUpdateError as error:
                    held_by = named_in(str(error))
                    if self._is_race():
                        continue
            if time.monotonic() >= deadline_s:
                raise locked(held_by)
            self._tell(held_by)
            has_waited = True
            self._context.stop.wait(patience_s + random.uniform(0, _POLL_S))
            if self._place.folder is None:
                patience_s = min(patience_s * 2, _LONGEST_POLL_S)

    def _is_race(self) -> bool:
        """Return whether to retry at once, after a moment: the lock is gone again."""
        if self._races >= _RACES or self._place.folder is None or holders_in(self._place):
            return False
        self._races += 1
        self._context.stop.wait(random.uniform(0, _POLL_S))
        return True

    def _tell(self, held_by: list[StackLockHolder]) -> None:
        who = ", ".join(map(str, held_by)) or "another command"
        if who not in self._told:
            self._told.add(who)
            self._context.diagnostic("info", f"waiting for {who}")

    def _remove_dead_locks(self) -> None:
        for each in remove_dead(self._place):
            self._context.diagnostic("warning", f"removed the lock of {each}: the process no longer exists")
