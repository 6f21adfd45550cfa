"""The stream in `dstream status`, from the answer of a running host."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from dstream.cli.view.stream import StreamView

LIVE: dict[str, Any] = {
    "phase": "streaming",
    "reason": "",
    "since": "2026-11-29T10:00:05.000Z",
    "started_at": "2026-11-29T10:00:00.000Z",
    "pid": 412,
    "lag_ms": 400,
}


def shown(**changes: Any) -> str:
    return StreamView(None, {**LIVE, **changes}, datetime(2026, 11, 29, tzinfo=UTC)).text()


def test_a_stream_shows_since_when_it_runs() -> None:
    assert shown() == "streaming since 2026-11-29T10:00:00.000Z (pid 412) · no checkpoint · lag 0.4 s"


def test_the_time_until_the_source_removes_changes_is_shown_if_the_input_reports_it() -> None:
    assert shown(time_to_loss_s=None) == shown()
    assert shown(time_to_loss_s=180_000.0).endswith(" · lag 0.4 s · time to loss 50.0 h")


def test_an_outage_shows_since_when_and_why() -> None:
    outage = shown(phase="reconnecting", reason="input mssql_cdc: db1: refused", lag_ms=61_000)
    assert outage == (
        "reconnecting since 2026-11-29T10:00:05.000Z (pid 412) · no checkpoint · lag 61.0 s · "
        "input mssql_cdc: db1: refused"
    )
