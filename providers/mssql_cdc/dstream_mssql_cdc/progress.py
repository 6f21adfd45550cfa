"""What a stream's progress looks like in the log, the figures and the heartbeats."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from dstream.sdk import Telemetry
from dstream_mssql_cdc.events import Keyed
from dstream_mssql_cdc.instances import Gap
from dstream_mssql_cdc.source import Poll
from dstream_mssql_cdc.state import Table
from dstream_mssql_cdc.stream import Observer


class Progress(Observer):
    """Figures are sent at most once a second."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._rows: Counter[str] = Counter()
        self._sent_at = 0.0

    def idle(self, now: Poll) -> None:
        self._telemetry.phase("idle", 0)
        self._send()

    def emitted(self, events: Sequence[Keyed], poll: Poll) -> None:
        self._rows.update(map(_table_name, events))
        if time.monotonic() - self._sent_at >= 1.0:
            self._telemetry.phase("stream", _lag_ms(events[-1][1].metadata.CommitTime, poll.now))
            self._send()

    def gap(self, gap: Gap) -> None:
        self._telemetry.warning(
            "mssql.gap", table=gap.table, instance=gap.instance, wanted=gap.wanted.hex(), begins=gap.start_lsn.hex()
        )

    def tables_changed(self, before: dict[str, Table], after: dict[str, Table]) -> None:
        for name, table in after.items():
            if before.get(name) != table:
                instances = [f"{instance.name} from {instance.from_}" for instance in table.instances]
                self._telemetry.info("mssql.reading", table=name, instances=instances)

    def _send(self) -> None:
        for table, rows in self._rows.items():
            self._telemetry.count("rows_read", rows, table=table)
        self._rows.clear()
        self._sent_at = time.monotonic()


def _table_name(keyed: Keyed) -> str:
    return keyed[1].metadata.TableName


def _lag_ms(commit_time: str | None, now: datetime) -> int | None:
    """Both are the server's local time; how old the newest event was when its window was chosen."""
    if commit_time is None:
        return None
    return max(0, round((now - datetime.fromisoformat(commit_time)).total_seconds() * 1000))
