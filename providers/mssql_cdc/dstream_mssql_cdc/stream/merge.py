"""Merges the events of all tables into log order and marks the last event of each transaction. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from operator import itemgetter

from dstream_mssql_cdc.position import NO_COMMAND_ID, UPDATE_BEFORE, ZERO_LSN, Floor
from dstream_mssql_cdc.records.events import ChangeRow, EventBuilder, Key, Keyed

_key = itemgetter(0)


class TableFeed:
    """One table's rows within a window: those read but not yet emitted, and where its next page starts."""

    def __init__(self, builder: EventBuilder, floor: Floor) -> None:
        self.builder = builder
        self.floor: Floor | None = floor
        """None if the table has no more rows in the window."""
        self.events: list[Keyed] = []
        self._half: list[ChangeRow] = []

    def push(
        self, rows: list[ChangeRow], *, is_full: bool, commit_times: dict[bytes, str], begin: bytes = ZERO_LSN
    ) -> None:
        """Add a page. `is_full`: the page was limited, so there may be more rows. `begin`: cleanup may have removed the
        rows below it since the page before was read. Raises DataError."""
        self.floor = _after(rows[-1]) if is_full else None
        if self._half and self._half[0][0] < begin and not (rows and rows[0][:3] == self._half[0][:3]):
            self._half = []
        rows = self._half + rows
        # If a page ends between the two rows of an update, the first row waits for the next page.
        self._half = [rows.pop()] if rows and rows[-1][3] == UPDATE_BEFORE and self.floor is not None else []
        self.events.extend(self.builder.events(rows, commit_times))

    @property
    def needs_page(self) -> bool:
        return not self.events and self.floor is not None

    @property
    def held_bytes(self) -> int:
        """Approximate memory of the rows that wait to be emitted."""
        return len(self.events) * self.builder.row_bytes


class Merger:
    """Emits the events of several feeds in order. Holds one back until it knows whether its transaction continues."""

    def __init__(self, feeds: Sequence[TableFeed]) -> None:
        self._feeds = feeds
        self._held: list[Keyed] = []

    @property
    def is_done(self) -> bool:
        """Whether the window is exhausted."""
        return not self._held and all(feed.floor is None and not feed.events for feed in self._feeds)

    def take(self) -> list[Keyed]:
        """The events that can be emitted now, in order; may be empty. Call it when no feed needs a page."""
        open_feeds = [feed for feed in self._feeds if feed.floor is not None]
        bound = min((feed.events[-1][0] for feed in open_feeds), default=None)
        ready = self._held + _ordered(self._feeds, bound)
        for (key, event), (next_key, _) in pairwise(ready):
            if key[0] != next_key[0]:
                event.metadata.Last = True
        # While a feed is open, the last event may be followed by another of the same transaction.
        self._held = ready[-1:] if open_feeds else []
        if self._held:
            return ready[:-1]
        if ready:
            ready[-1][1].metadata.Last = True
        return ready


def _after(row: ChangeRow) -> Floor:
    lsn, command_id, seqval, operation = row[:4]
    return Floor(lsn, NO_COMMAND_ID if command_id is None else command_id, seqval, operation)


def _ordered(feeds: Iterable[TableFeed], bound: Key | None) -> list[Keyed]:
    """Take the events up to `bound` out of the feeds, in order; unread rows come after it."""
    taken: list[Keyed] = []
    sources = 0
    for feed in feeds:
        if not feed.events:
            continue
        sources += 1
        if bound is None or feed.events[-1][0] <= bound:
            taken += feed.events
            feed.events = []
            continue
        count = bisect_right(feed.events, bound, key=_key)
        taken += feed.events[:count]
        feed.events = feed.events[count:]
    if sources > 1:
        taken.sort(key=_key)
    return taken
