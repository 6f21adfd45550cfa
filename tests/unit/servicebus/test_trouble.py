"""The phase of several sending threads: the worst of them, until each has sent again."""

from __future__ import annotations

import json
from typing import Any

from dstream_servicebus.publish.trouble import Trouble

from dstream.sdk import Telemetry


def test_the_worst_trouble_is_reported_until_every_worker_has_sent_again() -> None:
    lines: list[dict[str, Any]] = []
    telemetry = Telemetry(lambda line: lines.append(json.loads(line)))
    trouble = Trouble(telemetry, "sb.example.net")

    def reported() -> tuple[str, str]:
        telemetry.beat()
        return lines[-1].get("phase", "stream"), lines[-1].get("reason", "")

    trouble.seen(1, "throttled", "server busy")
    assert reported() == ("throttled", "sb.example.net: server busy")
    trouble.seen(2, "reconnecting", "connection refused")
    assert reported() == ("reconnecting", "sb.example.net: connection refused")
    trouble.over(3)
    trouble.over(2)
    assert reported() == ("throttled", "sb.example.net: server busy")
    trouble.over(1)
    assert reported() == ("stream", "")
