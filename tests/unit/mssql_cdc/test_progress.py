from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from dstream_mssql_cdc.progress import ReadProgress
from dstream_mssql_cdc.source import Poll
from dstream_mssql_cdc.window import Mapped

from dstream.sdk import Telemetry


def told_when_idle(*polls: Poll) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    progress = ReadProgress(Telemetry(lambda line: lines.append(json.loads(line))))
    for poll in polls:
        progress.idle(poll)
    return [line for line in lines if line["dstream"] == "log"]


def poll(minute: int, max_lsn: bytes | None = b"a") -> Poll:
    last = Mapped(b"a", bytes(10), "2024-02-29T10:00:00.000")
    return Poll(max_lsn, datetime(2024, 2, 29, 10, minute), [last] if max_lsn else [], [])


def test_capture_that_is_silent_for_ten_minutes_is_told_once() -> None:
    (warning,) = told_when_idle(poll(0), poll(9), poll(11), poll(12))
    assert (warning["level"], warning["event"]) == ("warning", "mssql.capture_silent")
    assert "sp_start_job" in warning["hint"]


def test_capture_that_never_ran_is_told() -> None:
    assert len(told_when_idle(poll(0, max_lsn=None))) == 1


def test_capture_that_speaks_is_not_warned_about() -> None:
    assert told_when_idle(poll(0), poll(5)) == []
