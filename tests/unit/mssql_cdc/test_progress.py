from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from dstream_mssql_cdc.catalog.instances import CapturedInstance, CapturedTable, Watermark
from dstream_mssql_cdc.records.events import ChangeEvent, Keyed, Metadata
from dstream_mssql_cdc.snapshot.reader import SnapshotProgress
from dstream_mssql_cdc.snapshot.telemetry import SnapshotTelemetry
from dstream_mssql_cdc.stream.progress import ReadProgress
from dstream_mssql_cdc.stream.source import Poll
from dstream_mssql_cdc.stream.window import Mapped

from dstream.sdk import Telemetry


def event(commit_time: str) -> Keyed:
    metadata = Metadata(1, "dbo.T", "Insert", 2, "0a", "01", 1, commit_time, [], [], [], "id")
    return (b"a", 1, b"a", 2, 1), ChangeEvent({}, metadata)


def logged_when_idle(*polls: Poll) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    progress = ReadProgress(Telemetry(lambda line: lines.append(json.loads(line))), "Shop's")
    for poll in polls:
        progress.idle(poll)
    return [line for line in lines if line["dstream"] == "log"]


def test_each_uncaptured_column_is_reported_once() -> None:
    lines: list[dict[str, Any]] = []
    progress = ReadProgress(Telemetry(lambda line: lines.append(json.loads(line))), "Shop")
    instances = tuple(
        CapturedInstance(Watermark(name, 1, 5, b"a", created), (), ())
        for name, created in (("o'ld", "2023-01-01"), ("new", "2024-01-01"))
    )
    for columns in (("A",), ("A", "B"), ("B",), ()):
        progress.uncaptured(CapturedTable("dbo.It's", 5, instances, columns))
    assert [(line["event"], line["columns"]) for line in lines] == [
        ("mssql.column_not_captured", ["A"]),
        ("mssql.column_not_captured", ["B"]),
    ]
    source = "@source_schema = N'dbo', @source_name = N'It''s'"
    drop_first, create = lines[0]["hint"].splitlines()[1:3]
    assert drop_first.strip().startswith(f"EXEC sys.sp_cdc_disable_table {source}, @capture_instance = N'o''ld';")
    assert create.strip().endswith(f"{source}, @role_name = NULL, @capture_instance = N'new_2';")


def poll(minute: int, max_lsn: bytes | None = b"a") -> Poll:
    last = Mapped(b"a", bytes(10), "2024-02-29T10:00:00.000")
    return Poll(max_lsn, datetime(2024, 2, 29, 10, minute), [last] if max_lsn else [], [])


def heartbeats(report: Callable[[ReadProgress], None]) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    telemetry = Telemetry(lambda line: lines.append(json.loads(line)))
    report(ReadProgress(telemetry, "Shop"))
    telemetry.beat()
    telemetry.beat()
    return [
        {"phase": line.get("phase", "stream"), "lag_ms": line["lag_ms"]}
        for line in lines
        if line["dstream"] == "heartbeat"
    ]


def test_the_lag_is_the_age_of_the_oldest_change_when_it_was_found() -> None:
    def report(progress: ReadProgress) -> None:
        progress.found("2024-02-29T09:59:57.500", poll(0))
        progress.idle(poll(0))

    assert heartbeats(report) == [{"phase": "idle", "lag_ms": 2500}, {"phase": "idle", "lag_ms": 0}]


def test_the_lag_decreases_as_changes_are_read() -> None:
    def report(progress: ReadProgress) -> None:
        progress.found("2024-02-29T09:00:00.000", poll(0))
        progress.emitted([event("2024-02-29T09:40:00.000")], poll(0))

    first, second = heartbeats(report)
    assert first == {"phase": "stream", "lag_ms": 3_600_000}
    assert second["phase"] == "stream"
    assert 1_200_000 <= second["lag_ms"] < 1_260_000


def test_ten_minutes_without_capture_are_reported_once() -> None:
    (warning,) = logged_when_idle(poll(0), poll(9), poll(11), poll(12))
    assert (warning["level"], warning["event"]) == ("warning", "mssql.capture_silent")
    assert "EXEC msdb.dbo.sp_start_job N'cdc.Shop''s_capture';" in warning["hint"]
    assert "EXEC sys.sp_cdc_add_job @job_type = N'capture';" in warning["hint"]
    assert "Log Reader Agent" in warning["hint"]


def test_capture_that_never_ran_is_reported() -> None:
    assert len(logged_when_idle(poll(0, max_lsn=None))) == 1


def test_active_capture_is_not_reported() -> None:
    assert logged_when_idle(poll(0), poll(5)) == []


def test_a_snapshot_is_logged_at_its_start_its_end_and_every_10_seconds() -> None:
    lines: list[dict[str, Any]] = []
    seconds = iter([0.0, 5.0, 10.0, 15.0])
    telemetry = SnapshotTelemetry(Telemetry(lambda line: lines.append(json.loads(line))), lambda: next(seconds))
    for rows, is_done in ((100, False), (300, False), (500, False), (600, True)):
        new_rows = 100 if rows in (100, 600) else 200
        telemetry.read(SnapshotProgress("dbo.T", "5a", rows, new_rows, 1000, True, is_done))
    logged = [line for line in lines if line["dstream"] == "log"]
    assert [line["event"] for line in logged] == ["mssql.snapshot_begun", "mssql.snapshot", "mssql.snapshot_done"]
    assert {name: logged[1][name] for name in ("rows", "percent", "rows_s", "left_s")} == {
        "rows": 500,
        "percent": 50,
        "rows_s": 40,
        "left_s": 12,
    }
    counted = [line["value"] for line in lines if line.get("name") == "rows_read"]
    assert sum(counted) == 600
    assert [line["value"] for line in lines if line.get("name") == "snapshot_rows"][-1] == 600
    assert not telemetry.is_reading


def test_the_phase_is_snapshot_while_one_is_read() -> None:
    def report(progress: ReadProgress) -> None:
        progress.snapshot(SnapshotProgress("dbo.T", "5a", 1, 1, 9, True))
        progress.found("2024-02-29T10:00:00.000", poll(1))

    assert heartbeats(report)[0]["phase"] == "snapshot"
