"""Which tables a stream reads: follows them through the catalog and checks their watermarks after every read.

Begins the snapshots of tables that are new, have a gap, or are requested. Pure except for the CdcSource it is given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from dstream.sdk.errors import AuthError, ConfigError
from dstream_mssql_cdc.catalog import instances as watched
from dstream_mssql_cdc.catalog.instances import CapturedTable, Watermark
from dstream_mssql_cdc.catalog.table_changes import (
    Followed,
    InstancesChanged,
    check_instances,
    follow,
    returned,
    still_gone,
    still_selected,
)
from dstream_mssql_cdc.catalog.tables import matching, parse_table_name
from dstream_mssql_cdc.errors import no_grant
from dstream_mssql_cdc.position import Position
from dstream_mssql_cdc.records.events import EventBuilder
from dstream_mssql_cdc.snapshot import plan
from dstream_mssql_cdc.state import ReaderState, Table
from dstream_mssql_cdc.stream.observer import Observer
from dstream_mssql_cdc.stream.source import CdcSource

BuilderOf = Callable[[CapturedTable, str], EventBuilder]
"""Creates the builder for a table's instance of that name."""


class StreamTables:
    """The tables of one stream, by name. `on_gap`, `on_table_change`: as in the config."""

    def __init__(
        self,
        state: ReaderState,
        builder_of: BuilderOf,
        *,
        on_gap: str,
        on_table_change: str,
        snapshots_new_tables: bool,
        requests: deque[str],
        observer: Observer,
        new_id: plan.NewId,
    ) -> None:
        self.current = state.tables
        self.skipped = state.skipped
        self._builder_of = builder_of
        self._on_gap = on_gap
        self._on_table_change = on_table_change
        self._snapshots_new_tables = snapshots_new_tables
        self._requests = requests
        self._observer = observer
        self._new_id = new_id
        self._captured: dict[str, CapturedTable] = {}
        self._modified: dict[str, datetime | None] = {}
        """When the change tables had been altered last as the catalog was read, by instance."""
        self._has_catalog = False
        self._builders: dict[str, EventBuilder] = {}

    def set(self, name: str, table: Table) -> None:
        self.current = {**self.current, name: table}

    def builder(self, table: str, instance: str) -> EventBuilder:
        builder = self._builders.get(instance)
        if builder is None:
            if table not in self._captured:
                raise no_grant(f"{table} is no longer visible to the login")
            builder = self._builders[instance] = self._builder_of(self._captured[table], instance)
        return builder

    def reload(
        self, source: CdcSource, marks: Sequence[Watermark], position: Position, window_end: Position | None = None
    ) -> None:
        """Read the catalog: at the start, and when a poll returns a different set of capture instances, `marks`.
        `window_end`: see catalog/instances.py."""
        captured = source.captured()
        followed = self._followed(source, captured, marks, position)
        tables = watched.observe(followed.tables, captured, position, window_end=window_end)
        gone = {**self.skipped, **{name: lost.object_id for name, lost in followed.lost.items()}}
        new = tables.keys() - followed.tables.keys()
        if not self._snapshots_new_tables:
            new &= returned(gone, tables) if self._on_table_change == "resnapshot" else set()
        tables = plan.with_snapshots(tables, new, position.lsn, self._new_id)
        skipped = still_gone(gone, tables, source.selects)
        self._report(captured, followed, tables, skipped)
        self._captured, self._has_catalog = {table.name: table for table in captured}, True
        found = [instance.mark for table in captured for instance in table.instances]
        self._modified = {mark.instance: mark.modified for mark in found}
        self._builders = {}
        self.current, self.skipped = tables, skipped

    def _followed(
        self, source: CdcSource, captured: Sequence[CapturedTable], marks: Sequence[Watermark], position: Position
    ) -> Followed:
        """The known tables, of which those that cannot be read on are left out, or end the run (on_table_change)."""
        known = self.current
        if not self._has_catalog:  # At the start of a run, discard tables that the config no longer selects.
            known = still_selected(known, captured, source.selects)
        followed = follow(known, captured, source.others(), marks, position)
        if followed.lost and self._on_table_change == "fail":
            raise next(iter(followed.lost.values())).why
        return followed

    def _report(
        self, captured: Sequence[CapturedTable], followed: Followed, tables: dict[str, Table], skipped: Iterable[str]
    ) -> None:
        for was, now in followed.renamed.items():
            self._observer.renamed(was, now)
        for name, lost in followed.lost.items():
            self._observer.table_changed(name, lost.why, tables.get(name))
        is_first = not self._has_catalog
        for name in skipped:
            if is_first and name not in followed.lost:
                self._observer.still_skipped(name)
        for table in captured:
            if table.uncaptured:
                self._observer.uncaptured(table)
        before = {} if is_first else followed.tables
        if tables != before:
            self._observer.tables_changed(before, tables)

    def check(self, tables: Mapping[str, Table], marks: Sequence[Watermark], position: Position) -> None:
        """Check the marks of `tables` after a read. Raises InstancesChanged if its rows may not be those wanted, or may
        have other types than the catalog had, and RefusedError for a gap (check_gaps)."""
        check_instances(tables, marks, position)
        if any(mark.modified and mark.modified != self._modified.get(mark.instance) for mark in marks):
            raise InstancesChanged
        self.check_gaps(tables, marks, position)

    def check_gaps(self, tables: Mapping[str, Table], marks: Sequence[Watermark], position: Position) -> None:
        """Raises RefusedError if changes after `position` may have been removed, or goes on without them (on_gap)."""
        found = watched.gaps(tables, marks, position)
        if not found:
            return
        if self._on_gap == "fail":
            raise watched.gap_error(found)
        for gap in found:
            self._observer.gap(gap)
        self.current = watched.without_gaps(self.current, found)
        if self._on_gap == "resnapshot":
            self._begin_snapshots({gap.table for gap in found}, position)

    def begin_requested(self, source: CdcSource, position: Position) -> bool:
        """Begin the snapshots that were requested, and return whether there are any. One that is impossible must not
        end the stream."""
        has_begun = False
        while self._requests:
            wanted = self._requests[0]
            try:
                names = self._possible(source, wanted)
            except (AuthError, ConfigError) as reason:
                self._observer.snapshot_refused(wanted, reason)
            else:
                self._begin_snapshots(names, position)
                self._observer.snapshot_begins(names)
                has_begun = True
            self._requests.popleft()  # Not before: a request that the connection does not survive is still open.
        return has_begun

    def _possible(self, source: CdcSource, wanted: str) -> list[str]:
        """The tables of this name or pattern. Raises ConfigError, or AuthError if the login cannot read one."""
        found = [
            table
            for table in matching(self._captured.values(), parse_table_name(wanted, "tables"))
            if table.name in self.current
        ]
        if not found:
            raise ConfigError("mssql.unknown_table", "the task reads no such table", hint="Name one of its `tables`.")
        for table in found:
            source.describe(table.object_id)
        return [table.name for table in found]

    def _begin_snapshots(self, names: Iterable[str], position: Position) -> None:
        self.current = plan.with_snapshots(self.current, {*names}, position.lsn, self._new_id)

    def end_overlaps(self, lsn: bytes, commit_time: str) -> None:
        """The stream has read everything up to `lsn`, the last of it committed at this time."""
        self.current = plan.without_passed(self.current, lsn, commit_time)
