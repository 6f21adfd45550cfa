"""The same fields as text and as JSON, one line per event."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

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
        '2026-11-23T09:24:51Z warn  provider.log     message=\'said "no"\' labels.a=1 empty=""',
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


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"table": {"name": "dbo.A"}, "rows": 3}, "x.table.name=dbo.A x.rows=3"),
        (["a", 1, True], 'x="a, 1, true"'),
        ([], 'x=""'),
        ({}, "x={}"),
        ([{"a": "b"}], """x='[{"a": "b"}]'"""),
        ('{"data":{"n":1}}', """x='{"data":{"n":1}}'"""),
        ('it\'s "so"', 'x="it\'s \\"so\\""'),
        ('a"\n', r'x="a\"\n"'),
        ('a\\"', r'x="a\\\""'),
    ],
)
def test_nested_values_are_readable_as_text(value: object, text: str) -> None:
    stream = io.StringIO()
    StructuredLog(stream, now=lambda: NOW).log("info", "e", x=value)
    assert stream.getvalue() == f"2026-11-23T09:24:51Z info  e                {text}\n"


def test_a_long_line_is_broken_between_words_on_a_terminal() -> None:
    stream = io.StringIO()
    log = StructuredLog(stream, now=lambda: NOW, columns=lambda: 60)
    log.log("warning", "mssql.reconnect", task="orders", cause="Login timeout expired", long="x" * 70)
    assert stream.getvalue().splitlines() == [
        "2026-11-23T09:24:51Z warn  mssql.reconnect  task=orders",
        '    cause="Login timeout expired"',
        f"    long={'x' * 70}",
    ]


def test_lines_for_files_and_scripts_are_never_broken() -> None:
    for options in ({}, {"format": "json", "columns": lambda: 60}):
        stream = io.StringIO()
        StructuredLog(stream, now=lambda: NOW, **options).log("info", "e", x="word " * 50)  # type: ignore[arg-type]
        assert stream.getvalue().count("\n") == 1


@pytest.mark.parametrize("columns", [None, lambda: 60])
def test_a_text_of_several_lines_is_written_below_its_line(columns: Callable[[], int] | None) -> None:
    stream = io.StringIO()
    log = StructuredLog(stream, now=lambda: NOW, columns=columns)
    log.log(
        "info", "provider.log", role="input", message="Traceback:\n  File x, line 1\nKeyError: 'n'", stream="stderr"
    )
    head, *below = stream.getvalue().splitlines()
    assert head.startswith("2026-11-23T09:24:51Z info  provider.log     role=input")
    assert below[-3:] == ["    Traceback:", "      File x, line 1", "    KeyError: 'n'"]


def test_a_field_may_have_any_name_and_the_time_stays_that_of_the_log() -> None:
    stream = io.StringIO()
    StructuredLog(stream, format="json", now=lambda: NOW).log("info", "provider.log", **{"self": 1, "time": "12:00"})
    assert json.loads(stream.getvalue()) == {
        "time": "2026-11-23T09:24:51.123Z",
        "level": "info",
        "event": "provider.log",
        "self": 1,
        "time_": "12:00",
    }
