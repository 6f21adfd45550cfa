"""The log lines of providers, whatever their fields are called."""

from __future__ import annotations

import io
import json

import pytest

from dstream.cli.view.progress import RunLog
from dstream.host.run.report import RunReport
from dstream.protocol.messages import Log, decode_control
from dstream.redact import Redactor


@pytest.mark.parametrize("name", ["self", "task", "role", "provider", "message", "fields", "stream", "clean"])
def test_a_log_field_may_have_any_name(name: str) -> None:
    stream = io.StringIO()
    log = RunLog(stream, level="info", log_format="json")
    report = RunReport("orders", log.of("orders"), Redactor())
    line = json.dumps({"dstream": "log", "level": "info", "event": "polled", name: 7}).encode()
    control = decode_control(line)
    assert isinstance(control, Log)
    report.told("input", control, line)
    shown = json.loads(stream.getvalue())
    assert (shown["event"], shown["message"], shown["task"]) == ("provider.log", "polled", "orders")
    assert name in shown
