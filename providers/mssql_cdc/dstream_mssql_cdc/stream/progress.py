"""Reports a stream's progress to the log, the metrics and the heartbeats."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from dstream.sdk import Telemetry
from dstream.sdk.errors import DStreamError, RefusedError
from dstream_mssql_cdc.catalog.instances import CapturedTable, Gap
from dstream_mssql_cdc.errors import capture_silent_hint, second_instance_hint
from dstream_mssql_cdc.records.events import Keyed
from dstream_mssql_cdc.snapshot.reader import SnapshotProgress
from dstream_mssql_cdc.snapshot.telemetry import SnapshotTelemetry
from dstream_mssql_cdc.state import Table
from dstream_mssql_cdc.stream.observer import Observer
from dstream_mssql_cdc.stream.source import Poll

_STALE_AFTER_MS = 10 * 60 * 1000


class ReadProgress(Observer):
    """Reports to `telemetry`; sends metrics at most once per second. Hints name `database`."""

    def __init__(self, telemetry: Telemetry, database: str, *, is_managed: bool = False) -> None:
        """`is_managed`: whether columns that are not captured are taken care of, or reported, elsewhere."""
        self._telemetry = telemetry
        self._is_managed = is_managed
        self._database = database
        self._snapshots = SnapshotTelemetry(telemetry)
        self._rows: Counter[str] = Counter()
        self._sent_at = 0.0
        self._is_stale = False
        self._polled_at = 0.0
        self._uncaptured: set[tuple[int, str]] = set()

    def idle(self, poll: Poll) -> None:
        self._telemetry.phase("snapshot" if self._snapshots.is_reading else "idle", 0)
        self._send()
        self._watch_capture(poll)

    def found(self, oldest_commit: str, poll: Poll) -> None:
        """The lag is the age of the oldest change that has not been read."""
        self._polled_at = time.monotonic()
        self._telemetry.phase(self._phase, _lag_ms(oldest_commit, poll.now))

    def emitted(self, events: Sequence[Keyed], poll: Poll) -> None:
        self._rows.update(map(_table_name, events))
        since_poll = timedelta(seconds=time.monotonic() - self._polled_at)
        self._telemetry.phase(self._phase, _lag_ms(events[-1][1].metadata.CommitTime, poll.now + since_poll))
        if time.monotonic() - self._sent_at >= 1.0:
            self._send()

    @property
    def _phase(self) -> Literal["snapshot", "stream"]:
        return "snapshot" if self._snapshots.is_reading else "stream"

    def snapshot(self, progress: SnapshotProgress) -> None:
        self._snapshots.read(progress)

    def snapshot_begins(self, tables: Sequence[str]) -> None:
        self._telemetry.info("mssql.snapshot_begins", tables=list(tables))

    def snapshot_refused(self, table: str, reason: DStreamError) -> None:
        self._telemetry.warning("mssql.snapshot_refused", table=table, reason=reason.message, hint=reason.hint)

    def gap(self, gap: Gap) -> None:
        self._telemetry.warning(
            "mssql.gap", table=gap.table, instance=gap.instance, wanted=gap.wanted.hex(), begins=gap.start_lsn.hex()
        )

    def renamed(self, was: str, now: str) -> None:
        self._telemetry.warning("mssql.table_renamed", was=was, now=now)

    def table_changed(self, name: str, why: RefusedError, now: Table | None) -> None:
        if now is None:
            note = "skipped until it is captured again"
        elif now.snapshot is not None:
            note = "its rows are read again"
        else:
            note = f"it is read from LSN {now.instances[0].from_}"
        self._telemetry.warning("mssql.table_changed", table=name, code=why.code, cause=why.message, note=note)

    def still_skipped(self, name: str) -> None:
        self._telemetry.warning("mssql.table_skipped", table=name, note="skipped until it is captured again")

    def uncaptured(self, table: CapturedTable) -> None:
        """Warn once of each column."""
        new = [name for name in table.uncaptured if (table.object_id, name) not in self._uncaptured]
        if not new or self._is_managed:
            return
        self._uncaptured |= {(table.object_id, name) for name in new}
        newest = table.newest
        older = next((one.mark.instance for one in table.instances if one is not newest), None)
        self._telemetry.warning(
            "mssql.column_not_captured",
            table=table.name,
            columns=new,
            hint=second_instance_hint(table.name, newest.mark.instance, older),
        )

    def behind(self, lsn: bytes, poll: Poll) -> None:
        self._telemetry.warning(
            "mssql.secondary_behind",
            position=lsn.hex(),
            last_captured=poll.max_lsn.hex() if poll.max_lsn else None,
            note="this secondary has not reached the position yet; waiting",
        )

    def tables_changed(self, before: dict[str, Table], after: dict[str, Table]) -> None:
        for name, table in after.items():
            if before.get(name) != table:
                instances = [f"{instance.name} from {instance.from_}" for instance in table.instances]
                self._telemetry.info("mssql.reading", table=name, instances=instances)

    def _watch_capture(self, poll: Poll) -> None:
        """Capture writes a mapping row every 5 minutes while the database is idle (cdc.lsn_time_mapping, tran_id
        0x00)."""
        age_ms = _lag_ms(poll.mapped[-1].commit_time, poll.now) if poll.mapped else None
        is_stale = poll.max_lsn is None or (age_ms is not None and age_ms > _STALE_AFTER_MS)
        if is_stale and not self._is_stale:
            self._telemetry.warning(
                "mssql.capture_silent", last_row_age_ms=age_ms, hint=capture_silent_hint(self._database)
            )
        self._is_stale = is_stale

    def _send(self) -> None:
        for table, rows in self._rows.items():
            self._telemetry.count("rows_read", rows, table=table)
        self._rows.clear()
        self._sent_at = time.monotonic()


def _table_name(keyed: Keyed) -> str:
    return keyed[1].metadata.TableName


def _lag_ms(commit_time: str | None, now: datetime) -> int | None:
    """How old a change is. Both times are in the server's local time; the offset of `commit_time` does not matter."""
    if commit_time is None:
        return None
    committed = datetime.fromisoformat(commit_time).replace(tzinfo=None)
    return max(0, round((now - committed).total_seconds() * 1000))
