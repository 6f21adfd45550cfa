"""What a lifecycle command shows while it runs."""

from __future__ import annotations

import io
import json
from typing import Any

from dstream.cli.lifecycle_log import LifecycleLog
from dstream.cli.plan_view import painter
from dstream.protocol.messages import Diagnostic, Resource


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def log_to(stream: io.StringIO, **changes: Any) -> LifecycleLog:
    given: dict[str, Any] = {"level": "info", "log_format": "text", "paint": painter(False), "task": "t", **changes}
    return LifecycleLog(stream, **given)


def tell(log: LifecycleLog) -> None:
    log.resource(Resource("planned", "create", "orders", "test:Queue"))
    log.resource(Resource("started", "create", "orders", "test:Queue"))
    log.resource(Resource("done", "create", "orders", "test:Queue"))
    log.resource(Resource("failed", "create", "returns", "test:Queue", note="quota"))
    log.diagnostic(Diagnostic("the tier is small", name="orders"))
    log.end()


def test_without_a_terminal_only_what_ended_is_a_line() -> None:
    stream = io.StringIO()
    tell(log_to(stream))
    begins = [line.split()[:3] for line in stream.getvalue().splitlines()]
    assert begins == [["✓", "queue", "orders"], ["!", "queue", "returns"], ["!", "orders:", "the"]]
    assert "\x1b" not in stream.getvalue()


def test_on_a_terminal_what_is_under_way_is_shown_and_replaced() -> None:
    stream = Terminal()
    tell(log_to(stream))
    assert "creating\r\x1b[K  ✓ queue  orders" in stream.getvalue()


def test_for_machines_every_step_is_an_event_without_empty_fields() -> None:
    stream = io.StringIO()
    tell(log_to(stream, log_format="json"))
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


def test_a_log_line_of_the_provider_does_not_run_into_what_is_under_way() -> None:
    stream = Terminal()
    log = log_to(stream)
    log.resource(Resource("started", "create", "orders", "test:Queue"))
    log.log("info", "looked", task="t")
    assert "creating\r\x1b[K20" in stream.getvalue()
