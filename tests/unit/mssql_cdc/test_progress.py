from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from dstream_mssql_cdc.progress import ReadProgress
from dstream_mssql_cdc.source import Poll
from dstream_mssql_cdc.window import Mapped

from dstream.sdk import Telemetry


def logged_when_idle(*polls: Poll) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    progress = ReadProgress(Telemetry(lambda line: lines.append(json.loads(line))))
    for poll in polls:
        progress.idle(poll)
    return [line for line in lines if line["dstream"] == "log"]


def poll(minute: int, max_lsn: bytes | None = b"a") -> Poll:
    last = Mapped(b"a", bytes(10), "2024-02-29T10:00:00.000")
    return Poll(max_lsn, datetime(2024, 2, 29, 10, minute), [last] if max_lsn else [], [])


def test_ten_minutes_without_capture_are_reported_once() -> None:
    (warning,) = logged_when_idle(poll(0), poll(9), poll(11), poll(12))
    assert (warning["level"], warning["event"]) == ("warning", "mssql.capture_silent")
    assert "sp_start_job" in warning["hint"]


def test_capture_that_never_ran_is_reported() -> None:
    assert len(logged_when_idle(poll(0, max_lsn=None))) == 1


def test_active_capture_is_not_reported() -> None:
    assert logged_when_idle(poll(0), poll(5)) == []
