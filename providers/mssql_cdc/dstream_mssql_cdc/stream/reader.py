"""Reads the log window by window and yields lines and checkpoints in log order, and snapshots (snapshot/) in between.

Pure except for its CdcSource and Stop. Resumable: after an error of the source, call `lines` again; it continues after
the last item it yielded. Runs on the provider's single thread.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from dstream.sdk import Checkpoint, Lines, Stop
from dstream_mssql_cdc.catalog import instances as watched
from dstream_mssql_cdc.catalog.instances import Watermark
from dstream_mssql_cdc.catalog.table_changes import InstancesChanged
from dstream_mssql_cdc.position import Position, floor_of
from dstream_mssql_cdc.records import schema_records
from dstream_mssql_cdc.records.events import ChangeEvent, EventBuilder, Keyed
from dstream_mssql_cdc.records.lines import LineEncoder
from dstream_mssql_cdc.snapshot import plan
from dstream_mssql_cdc.snapshot.reader import SnapshotReader
from dstream_mssql_cdc.state import Database, NetWindow, ReaderState, Table, stored_position
from dstream_mssql_cdc.stream.history import HistoryCheck, mapped_at
from dstream_mssql_cdc.stream.merge import Merger, TableFeed
from dstream_mssql_cdc.stream.net_changes import NetChanges, NetFold
from dstream_mssql_cdc.stream.observer import Observer
from dstream_mssql_cdc.stream.source import CdcSource, Poll
from dstream_mssql_cdc.stream.tables import BuilderOf, StreamTables
from dstream_mssql_cdc.stream.window import Window, next_window

AwaitStored = Callable[[str, Stop], bool]
"""Waits until the host has stored the window of net changes with that id. Returns False if the stream is to stop."""


@dataclass(frozen=True, slots=True)
class PollPace:
    """Page sizes, limits and intervals for reading."""

    poll_s: float = 1.0
    max_poll_s: float = 2.0
    max_bytes: int = 32 * 1024 * 1024
    min_page_bytes: int = 256 * 1024
    """A page may be this large even if the tables that share `max_bytes` are so many that each one's share is less."""
    page_rows: int = 2000
    window_transactions: int = 5000
    """A version with a smaller number would cut recorded windows of net changes."""
    checkpoint_lines: int = 1000
    max_line: int = 16 * 1024 * 1024
    restored_after_s: float = 300.0


class ChangeStream:
    """Reads the changes of one run."""

    def __init__(
        self,
        source: CdcSource,
        state: ReaderState,
        builder_of: BuilderOf,
        pace: PollPace,
        *,
        on_gap: str = "fail",
        on_table_change: str = "fail",
        schema_records: bool = False,
        snapshots_new_tables: bool = False,
        fenced_snapshots: bool = False,
        requests: deque[str] | None = None,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.monotonic,
        new_id: plan.NewId = plan.random_id,
        net: NetChanges | None = None,
        await_stored: AwaitStored | None = None,
    ) -> None:
        """`snapshots_new_tables`: whether a table that the checkpoint does not know gets a snapshot. `requests`: other
        tables to take snapshots of, by name or pattern; another thread may append to it. `net`: emit net changes.
        `await_stored`: None if the host acknowledges nothing."""
        self.source = source
        self._state = state
        self._position = state.position
        self._pace = pace
        self._schema_records = schema_records
        self._observer = observer or Observer()
        self._clock = clock
        self._history = HistoryCheck(clock, pace.restored_after_s)
        self._signature: set[tuple[str, int, str, bool]] | None = None
        self._tables = StreamTables(
            state,
            builder_of,
            on_gap=on_gap,
            on_table_change=on_table_change,
            snapshots_new_tables=snapshots_new_tables,
            requests=deque() if requests is None else requests,
            observer=self._observer,
            new_id=new_id,
        )
        self._new_id = new_id
        self._net = net
        self._await_stored = await_stored
        self._lines = LineEncoder(pace.max_line)
        self._snapshots = SnapshotReader(
            self._lines,
            pace.page_rows,
            pace.max_bytes,
            is_fenced=fenced_snapshots,
            new_id=new_id,
            report=self._observer.snapshot,
        )

    @property
    def state(self) -> ReaderState:
        """What the next checkpoint contains."""
        return msgspec.structs.replace(self._state, tables=self._tables.current, skipped=self._tables.skipped)

    def reconnect(self, source: CdcSource, db: Database) -> None:
        """Continue with another connection to the same database, which may have a new GUID."""
        self.source = source
        self._state = msgspec.structs.replace(self._state, db=db)

    def lines(self, stop: Stop, *, until: bytes | None = None) -> Iterator[Lines | Checkpoint]:
        """Read until `stop`, or until everything up to LSN `until` is read. Ends with a checkpoint.

        While a table needs a snapshot, reads a chunk of its rows and a window of changes in turn. Ends only when a poll
        after the last row returns no more changes."""
        self._signature = None
        is_collecting = self._net is not None and until is None  # Each window of net changes collects changes.
        delay_s, due_s = self._pace.poll_s, self._clock() + self._pace.poll_s
        while not stop.is_set():
            polled_s = self._clock()
            window, poll = self._next_window()
            if window is not None:
                try:
                    yield from self._changes(window, poll, stop)
                except InstancesChanged:
                    self._signature = None  # Read the catalog again.
                    continue
                if stop.is_set():
                    break
            if self._tables.begin_requested(self.source, self._position):
                yield Checkpoint(self.state.stored())
            is_pending = plan.next_table(self._tables.current) is not None
            is_reading = is_pending and plan.known_lsn(poll.max_lsn, poll.marks) >= self._position.lsn
            if is_reading:
                yield from self._chunk(stop)
            if window is not None or is_reading:
                # The time that reading took counts, so that a change waits no longer than the interval.
                delay_s, due_s = self._pace.poll_s, polled_s + self._pace.poll_s
                if window is None or is_reading or not is_collecting or window.upper != poll.max_lsn:
                    continue
            elif until is not None and self._position >= Position.end_of(until) and not is_pending:
                break
            else:
                self._observer.idle(poll)
            if stop.wait(max(0.0, due_s - self._clock())):
                break
            due_s = self._clock() + delay_s
            delay_s = min(delay_s * 2, self._pace.max_poll_s)
        yield Checkpoint(self.state.stored())

    def _changes(self, window: Window, poll: Poll, stop: Stop) -> Iterator[Lines | Checkpoint]:
        """Read a window; unless stopped, the position is then its end."""
        if window.oldest_commit is not None:
            self._observer.found(window.oldest_commit, poll)
            yield from self._window(window, poll, stop)
            if stop.is_set():
                return
        self._move(Position.end_of(window.upper), window.tran_ids.get(window.upper))
        if window.commit_times:
            newest = window.commit_times[max(window.commit_times)]
            self._tables.end_overlaps(window.upper, newest)
        yield Checkpoint(self.state.stored())

    def _chunk(self, stop: Stop) -> Iterator[Lines | Checkpoint]:
        """Read some rows of the first table that needs a snapshot."""
        name = plan.next_table(self._tables.current)
        assert name is not None
        table = self._tables.current[name]

        def save(moved: Table) -> Checkpoint:
            self._tables.set(name, msgspec.structs.replace(moved, schema=self._tables.current[name].schema))
            return Checkpoint(self.state.stored())

        builder = self._tables.builder(name, table.instance_at(self._position.next_lsn.hex()).name)
        for item in self._snapshots.step(self.source, table, builder, save, stop):
            if self._schema_records and isinstance(item, Lines):
                yield from self._lines.lines([*self._schemas_due([name]).values()])
            yield item

    def _next_window(self) -> tuple[Window | None, Poll]:
        poll = self._poll()
        while (signature := _signature(poll.marks)) != self._signature:
            # An instance can appear between the poll and the catalog: read until both show the same ones.
            self._signature = signature
            net = self._state.net
            self._tables.reload(self.source, poll.marks, self._position, window_end=net.position if net else None)
            self._snapshots.forget()
            poll = self._poll()
        self._tables.check_gaps(self._tables.current, poll.marks, self._position)
        window = next_window(
            self._position,
            poll.max_lsn,
            poll.mapped,
            self._pace.window_transactions + 1,
            watched.switches(self._tables.current),
            self._state.net.position.lsn if self._state.net else None,
        )
        return window, poll

    def _poll(self) -> Poll:
        poll = self.source.poll(self._position.lsn, self._pace.window_transactions + 1)
        self._check_history(poll)
        return poll

    def _check_history(self, poll: Poll) -> None:
        lsn = self._position.lsn
        if self._history.check(poll, lsn, self._state.tran_id):
            self._observer.behind(lsn, poll)
        here = mapped_at(poll.mapped, lsn)
        if here and self._state.tran_id is None:  # A start position; from now on, its transaction is known.
            self._move(self._position, here.tran_id)

    def _window(self, window: Window, poll: Poll, stop: Stop) -> Iterator[Lines | Checkpoint]:
        feeds = self._feeds(window)
        merger = Merger([feed for _, feed in feeds])
        fold = NetFold(self._net) if self._net else None
        while not merger.is_done:
            needing = [(instance, feed) for instance, feed in feeds if feed.needs_page]
            free_bytes = self._pace.max_bytes - sum(feed.held_bytes for _, feed in feeds)
            for at, (instance, feed) in enumerate(needing):
                share = max(free_bytes // (len(needing) - at), min(self._pace.min_page_bytes, self._pace.max_bytes))
                while feed.needs_page:
                    self._read_page(instance, feed, window, share)
                    if stop.is_set():
                        return
                free_bytes -= feed.held_bytes
            ready = merger.take()
            if ready:
                if fold is None:
                    yield from self._emit(ready, window)
                else:
                    builders = {feed.builder.shape.object_id: feed.builder for _, feed in feeds}
                    yield from self._fold(fold, ready, builders, window, stop)
                self._observer.emitted(ready, poll)
            if stop.is_set():
                return
        if fold is not None:
            yield from self._emit_net(fold, Position.end_of(window.upper), window, stop)

    def _feeds(self, window: Window) -> list[tuple[str, TableFeed]]:
        position = self._position
        current = [
            (name, table.object_id, table.instance_at(position.next_lsn.hex()))
            for name, table in self._tables.current.items()
        ]
        hits: Sequence[int] = range(len(current))
        if len(current) > 1:
            probe = self.source.probe([instance.name for _, _, instance in current], position.next_lsn, window.upper)
            self._tables.check(self._tables.current, probe.marks, position)
            hits = sorted(probe.hits)
        feeds = []
        for at in hits:
            name, object_id, instance = current[at]
            floor = floor_of(position, object_id, bytes.fromhex(instance.from_))
            feeds.append((instance.name, TableFeed(self._tables.builder(name, instance.name), floor)))
        return feeds

    def _read_page(self, instance: str, feed: TableFeed, window: Window, max_bytes: int) -> None:
        assert feed.floor is not None
        max_rows = max(1, min(self._pace.page_rows, max_bytes // feed.builder.row_bytes))
        page = self.source.page(instance, feed.builder, feed.floor, window.upper, max_rows, max_bytes)
        name = feed.builder.shape.name
        self._tables.check({name: self._tables.current[name]}, page.marks, self._position)
        begin = self._tables.current[name].instance_at(self._position.next_lsn.hex()).from_
        feed.push(page.rows, is_full=page.is_full, commit_times=window.commit_times, begin=bytes.fromhex(begin))

    def _emit(self, ready: Sequence[Keyed], window: Window) -> Iterator[Lines | Checkpoint]:
        """Split into blocks that end at transaction boundaries if possible; the last block ends with the page."""
        self._mark_overlaps(ready)
        start = 0
        for end in _cuts(ready, self._pace.checkpoint_lines):
            yield from self._lines.lines(self._with_schemas([event for _, event in ready[start:end]]))
            key, event = ready[end - 1]
            is_last = event.metadata.Last is True
            self._move(Position.end_of(key[0]) if is_last else Position(*key), window.tran_ids.get(key[0]))
            yield Checkpoint(self.state.stored())
            start = end

    def _fold(
        self, fold: NetFold, ready: Sequence[Keyed], builders: Mapping[int, EventBuilder], window: Window, stop: Stop
    ) -> Iterator[Lines | Checkpoint]:
        """Add to the window of net changes, and emit it where it has been recorded to end, or when memory is full."""
        self._mark_overlaps(ready)
        for key, event in ready:
            recorded = self._state.net
            if recorded is not None and key > recorded.position:
                yield from self._emit_net(fold, recorded.position, window, stop)
            fold.add((key, event), builders[key[4]])
            if recorded is None and fold.held_bytes > self._pace.max_bytes:
                end = Position.end_of(key[0]) if event.metadata.Last is True else Position(*key)
                yield from self._emit_net(fold, end, window, stop)
            if stop.is_set():
                return

    def _emit_net(self, fold: NetFold, end: Position, window: Window, stop: Stop) -> Iterator[Lines | Checkpoint]:
        """Record the window of net changes, which ends at `end` unless it has been recorded, and emit it."""
        recorded = self._state.net or NetWindow(stored_position(end), self._new_id())
        events = fold.take(recorded.id, ends_transaction=recorded.position.is_border)
        if events:
            self._state = msgspec.structs.replace(self._state, net=recorded)
            yield Checkpoint(self.state.stored(), at_once=True)
            if self._await_stored is not None and not self._await_stored(recorded.id, stop):
                return
            yield from self._lines.lines(self._with_schemas(events))
        self._move(end, window.tran_ids.get(end.lsn))
        yield Checkpoint(self.state.stored())

    def _with_schemas(self, events: list[ChangeEvent]) -> list[ChangeEvent]:
        if not self._schema_records:
            return events
        records = self._schemas_due(dict.fromkeys(event.metadata.TableName for event in events))
        return [*schema_records.with_records(events, records)]

    def _schemas_due(self, names: Iterable[str]) -> dict[str, ChangeEvent]:
        """The schema records to emit before rows of these tables."""
        at = self._position.next_lsn.hex()
        records: dict[str, ChangeEvent] = {}
        for name in names:
            table = self._tables.current[name]
            found = schema_records.due(table, self._tables.builder(name, table.instance_at(at).name), at)
            if found is not None:
                records[name], moved = found
                self._tables.set(name, moved)
        return records

    def _mark_overlaps(self, ready: Sequence[Keyed]) -> None:
        tables = {name: table for name, table in self._tables.current.items() if plan.can_overlap(table)}
        if not tables:
            return
        for _, event in ready:
            table = tables.get(event.metadata.TableName)
            if table is not None and plan.overlaps(table, event.metadata.LSN, event.metadata.CommitTime):
                event.metadata.Overlap = True

    def _move(self, position: Position, tran_id: bytes | None) -> None:
        self._position = position
        self._state = self._state.moved(position, tran_id.hex() if tran_id is not None else None)


def _signature(marks: Sequence[Watermark]) -> set[tuple[str, int, str, bool]]:
    return {(mark.instance, mark.object_id, mark.create_date, mark.start_lsn is None) for mark in marks}


def _cuts(ready: Sequence[Keyed], lines: int) -> Iterator[int]:
    """The ends of the blocks: the first transaction boundary after at least `lines` lines each, and the last row."""
    end = lines
    while end < len(ready):
        if ready[end - 1][1].metadata.Last is True:
            yield end
            end += lines
        else:
            end += 1
    yield len(ready)
