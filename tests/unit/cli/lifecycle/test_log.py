"""The progress output of lifecycle commands."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest

from dstream.cli.lifecycle.log import CommandLog, EventStream, LifecycleLog
from dstream.cli.view.plan import painter
from dstream.protocol.lifecycle import ListedResource
from dstream.protocol.messages import Diagnostic, Resource
from tests.running import wait_until


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def log_to(stream: io.StringIO, **changes: Any) -> LifecycleLog:
    given: dict[str, Any] = {
        "level": "info",
        "log_format": "text",
        "paint": painter(False),
        **changes,
    }
    return LifecycleLog(stream, **given)


def report(log: CommandLog) -> None:
    task = log.of("t")
    task.resource(Resource("planned", "create", "orders", "test:Queue"))
    task.resource(Resource("started", "create", "orders", "test:Queue"))
    task.resource(Resource("done", "create", "orders", "test:Queue"))
    task.resource(Resource("failed", "create", "returns", "test:Queue", note="quota"))
    task.diagnostic(Diagnostic("the tier is small", name="orders"))
    log.end()


def test_without_a_terminal_only_finished_steps_are_shown() -> None:
    stream = io.StringIO()
    report(log_to(stream))
    begins = [line.split()[:3] for line in stream.getvalue().splitlines()]
    assert begins == [["✓", "queue", "orders"], ["!", "queue", "returns"], ["!", "orders:", "the"]]
    assert "\x1b" not in stream.getvalue()


def test_on_a_terminal_the_current_step_is_shown_and_replaced() -> None:
    stream = Terminal()
    report(log_to(stream))
    assert "· creating orders\r\x1b[K  ✓ queue  orders" in stream.getvalue()


def test_with_several_tasks_each_line_names_its_task() -> None:
    stream = io.StringIO()
    report(log_to(stream, task_width=3))
    assert [line[:5] for line in stream.getvalue().splitlines()] == ["t    "] * 3


def test_in_json_every_step_is_an_event_without_empty_fields() -> None:
    stream = io.StringIO()
    report(log_to(stream, log_format="json"))
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [event["event"] for event in events] == [
        "resource.started",
        "resource.done",
        "resource.failed",
        "diagnostic",
    ]
    assert [event["level"] for event in events] == ["info", "info", "error", "warning"]
    assert "after_ms" in events[1]
    assert all(value is not None for event in events for value in event.values())


def test_a_provider_log_line_clears_the_current_step_first() -> None:
    stream = Terminal()
    log = log_to(stream)
    log.of("t").resource(Resource("started", "create", "orders", "test:Queue"))
    log.of("t").log("info", "looked", task="t")
    assert "· creating orders\r\x1b[K20" in stream.getvalue()


def test_a_terminal_shows_what_is_under_way_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dstream.cli.lifecycle.log._REDRAW_S", 0.01)
    stream = Terminal()
    log = log_to(stream)
    log.expect([ListedResource(name, "test:Queue", "create") for name in ("a", "b", "c")])
    log.begin("checking the plan")
    wait_until(lambda: "checking the plan · 0s" in stream.getvalue(), "the first redrawing")
    for name in ("a", "b"):
        log.of("t").resource(Resource("started", "create", name, "test:Queue"))
    assert re.search(r"  0 of 3 · \d+s · creating a, b", stream.getvalue())
    log.of("t").resource(Resource("done", "create", "a", "test:Queue"))
    assert re.search(r"  1 of 3 · \d+s · creating b$", stream.getvalue())
    log.end()
    assert stream.getvalue().endswith("creating b\r\x1b[K")


def test_the_event_stream_has_every_protocol_event() -> None:
    stream = io.StringIO()
    events = EventStream(stream)
    report(events)
    events.of("t").log("info", "looked", name="its own", at=1)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["resource"] * 4 + ["diagnostic", "log"]
    assert {(line["schema_version"], line["task"]) for line in lines} == {(1, "t")}
    assert (lines[3]["phase"], lines[3]["note"], lines[3]["holds"]) == ("failed", "quota", 0)
    assert (lines[5]["name"], lines[5]["fields"]) == ("looked", {"name": "its own", "at": 1})
