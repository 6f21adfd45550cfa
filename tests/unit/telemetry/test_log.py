"""The same fields as text and as JSON, one line per event."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

from dstream.telemetry import LogFormat, StructuredLog

NOW = datetime(2026, 11, 23, 9, 24, 51, 123456, tzinfo=UTC)


def lines(format: LogFormat, level: str = "info") -> list[str]:  # noqa: A002
    stream = io.StringIO()
    log = StructuredLog(stream, format=format, level=level, now=lambda: NOW)
    log.log("info", "run.summary", task="orders", rows=217080, lag_ms=None, ratio=0.12345678, drained=True)
    log.log("warning", "provider.log", message='said "no"', labels={"a": 1}, empty="")
    log.log("debug", "checkpoint.stored", seq=1)
    return stream.getvalue().splitlines()


def test_text_is_aligned_and_values_with_spaces_are_quoted() -> None:
    assert lines("text") == [
        "2026-11-23T09:24:51Z info  run.summary      task=orders rows=217080 ratio=0.123457 drained=true",
        '2026-11-23T09:24:51Z warn  provider.log     message="said \\"no\\"" labels="{\\"a\\": 1}" empty=""',
    ]


def test_json_has_every_field() -> None:
    documents = [json.loads(line) for line in lines("json")]
    assert documents[0] == {
        "time": "2026-11-23T09:24:51.123Z",
        "level": "info",
        "event": "run.summary",
        "task": "orders",
        "rows": 217080,
        "lag_ms": None,
        "ratio": 0.12345678,
        "drained": True,
    }
    assert documents[1]["labels"] == {"a": 1}


def test_events_below_the_minimum_level_are_omitted() -> None:
    assert len(lines("json", "debug")) == 3
    assert len(lines("json", "error")) == 0
