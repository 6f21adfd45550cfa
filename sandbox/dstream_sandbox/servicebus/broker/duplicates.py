"""Duplicate detection: the message ids that an entity has received within its window.

Ids are kept from the time of the send, even after the message is removed; a duplicate is accepted and dropped
(Microsoft, "Duplicate detection"). With partitioning, the partition key is part of the identity.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from dstream_sandbox.servicebus.core import Message

__all__ = ["DuplicateHistory"]


class DuplicateHistory:
    def __init__(self, window_s: float, *, partitioned: bool) -> None:
        self.window_s = window_s
        self._partitioned = partitioned
        self._seen: dict[str, float] = {}
        self._order: deque[tuple[float, Sequence[str]]] = deque()

    def admit(self, messages: Sequence[Message], now: float) -> tuple[list[Message], list[str]]:
        """Return the messages that are new, and the keys under which their ids are kept."""
        seen, fresh, keys = self._seen, [], []
        for message in messages:
            key = self._key(message)
            if key is not None:
                if key in seen:
                    continue
                seen[key] = now
                keys.append(key)
            fresh.append(message)
        if keys:
            self._order.append((now, keys))
        return fresh, keys

    def recall(self, at: float, keys: Sequence[str]) -> None:
        """Restore keys from the store, oldest first."""
        self._seen.update(dict.fromkeys(keys, at))
        self._order.append((at, keys))

    def withdraw(self, keys: Sequence[str]) -> None:
        """Remove the keys of messages that were not stored."""
        for key in keys:
            self._seen.pop(key, None)

    def prune(self, now: float) -> float | None:
        """Discard keys older than the window. Return the time up to which the store can discard its own, if any."""
        until = now - self.window_s
        discarded = None
        while self._order and self._order[0][0] <= until:
            at, keys = self._order.popleft()
            discarded = at
            for key in keys:
                if self._seen.get(key) == at:
                    del self._seen[key]
        return discarded

    def _key(self, message: Message) -> str | None:
        if not self._partitioned or message.message_id is None:
            return message.message_id
        return f"{message.session_id or message.partition_key or ''}\x00{message.message_id}"
