"""Delivers dead letters again: through an ordinary publication, with the current settings and the recorded ids."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as NotDone
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from dstream.sdk import DeadLetter, Stop
from dstream_servicebus.publish.rejected import MAX_DETAIL
from dstream_servicebus.publish.rejections import Refusal, RejectedRows

if TYPE_CHECKING:  # slow to import, and not needed to list dead letters
    from dstream_servicebus.publish.publication import Publication

CHUNK_ROWS = 100
"""Rows per step. If the process is killed, at most so many are delivered again."""
POLL_S = 0.1
GIVE_UP_S = 10.0
"""How long an interrupted replay waits for the rows under way."""


class ReplayedRow(NamedTuple):
    message_id: str
    """Empty if none is recorded: the settings then give it one."""
    row: bytes


class Replay:
    """Opens the publication on first use. Call `close` at the end."""

    def __init__(self, publication: Callable[[RejectedRows], Publication]) -> None:
        self._new_publication = publication
        self._refused = _Refused()
        self._publication: Publication | None = None

    def deliver(self, rows: Sequence[ReplayedRow], stop: Stop) -> list[Refusal | None] | None:
        """Return, for each row, why it was refused again, or None when it is accepted.

        Returns None if `stop` was set and the rows did not settle in time: some may have been delivered. Raises
        DStreamError.
        """
        if self._publication is None:
            self._publication = self._new_publication(self._refused)
            self._publication.open()
        self._refused.clear()
        settled = self._publication.write_again(rows)
        waited_s = 0.0
        while True:
            try:
                settled.result(POLL_S)
            except NotDone:
                waited_s += POLL_S if stop.is_set() else 0.0
                if waited_s >= GIVE_UP_S:
                    return None
            else:
                return [self._refused.of(each) for each in rows]

    def close(self) -> None:
        if self._publication is not None:
            self._publication.close()


class _Refused:
    """Collects the rows that are refused again; they stay where they are."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refusals: dict[bytes, Refusal] = {}

    def check(self) -> None:
        pass

    def clear(self) -> None:
        self._refusals.clear()

    def take(self, refusal: Refusal, entity: str, message_id: str, row: bytes, size: int) -> None:
        with self._lock:
            self._refusals[row] = refusal

    def of(self, row: ReplayedRow) -> Refusal | None:
        return self._refusals.get(row.row)


def outcome(letter: DeadLetter, refusal: Refusal | None) -> DeadLetter:
    """Return the letter as it is after a replay."""
    reason, detail = (refusal.reason, refusal.error.message) if refusal else (letter.reason, letter.detail)
    return replace(letter, reason=reason, detail=detail[:MAX_DETAIL], outcome="rejected" if refusal else "delivered")
