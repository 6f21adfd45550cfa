"""Reports a snapshot's progress to the log, the metrics and the heartbeats."""

from __future__ import annotations

import time
from collections.abc import Callable

from dstream.sdk import Telemetry
from dstream_mssql_cdc.snapshot.reader import SnapshotProgress

_LOG_INTERVAL_S = 10.0
_METRICS_INTERVAL_S = 1.0


class SnapshotTelemetry:
    """Reports to `telemetry`: logs the start, the end, and the progress every 10 s; sends metrics every second."""

    def __init__(self, telemetry: Telemetry, clock: Callable[[], float] = time.monotonic) -> None:
        self._telemetry = telemetry
        self._clock = clock
        self._first: SnapshotProgress | None = None
        self._began_s = self._logged_s = self._sent_s = 0.0
        self._unsent_rows = 0

    @property
    def is_reading(self) -> bool:
        return self._first is not None

    def read(self, progress: SnapshotProgress) -> None:
        """Some more rows were read."""
        now_s = self._clock()
        first = self._first
        if first is None or first.id != progress.id:
            first = self._begin(progress, now_s)
        self._telemetry.phase("snapshot")
        self._unsent_rows += progress.new_rows
        if progress.is_done or now_s - self._sent_s >= _METRICS_INTERVAL_S:
            self._send(progress, now_s)
        if progress.is_done:
            self._telemetry.info("mssql.snapshot_done", table=progress.table, snapshot=progress.id, rows=progress.rows)
            self._first = None
        elif now_s - self._logged_s >= _LOG_INTERVAL_S:
            self._log(first, progress, now_s)

    def _begin(self, progress: SnapshotProgress, now_s: float) -> SnapshotProgress:
        self._first, self._began_s, self._logged_s = progress, now_s, now_s
        self._telemetry.info(
            "mssql.snapshot_begun",
            table=progress.table,
            snapshot=progress.id,
            rows_before=progress.rows - progress.new_rows,
            expected_rows=progress.expected,
            resumable=progress.is_keyed,
        )
        return progress

    def _log(self, first: SnapshotProgress, progress: SnapshotProgress, now_s: float) -> None:
        self._logged_s = now_s
        rows_s = (progress.rows - first.rows) / (now_s - self._began_s)
        left = max(0, progress.expected - progress.rows)
        self._telemetry.info(
            "mssql.snapshot",
            table=progress.table,
            snapshot=progress.id,
            rows=progress.rows,
            percent=min(100, 100 * progress.rows // max(1, progress.expected)),
            rows_s=round(rows_s),
            left_s=round(left / rows_s) if rows_s else None,
        )

    def _send(self, progress: SnapshotProgress, now_s: float) -> None:
        self._sent_s = now_s
        self._telemetry.count("rows_read", self._unsent_rows, table=progress.table)
        self._telemetry.gauge("snapshot_rows", progress.rows, table=progress.table)
        self._telemetry.gauge("snapshot_expected_rows", progress.expected, table=progress.table)
        self._unsent_rows = 0
