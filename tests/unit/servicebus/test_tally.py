from __future__ import annotations

import json

from dstream_servicebus.publish.tally import Tally

from dstream.sdk import Telemetry


def test_counters_are_reported_at_most_once_per_second_and_entity() -> None:
    lines: list[bytes] = []
    now_s = 0.0
    tally = Tally(Telemetry(lines.append), lambda: now_s)

    for _ in range(100):
        tally.accepted("a", 10, 500, 0.25)
    tally.throttled("b", 2.5)
    assert lines == []

    now_s = 1.0
    tally.accepted("a", 1, 50, 1.0)

    reported = {(record["name"], record["labels"]["entity"]): record["value"] for record in map(json.loads, lines)}
    assert reported == {
        ("messages_sent", "a"): 1001,
        ("sends", "a"): 101,
        ("bytes_sent", "a"): 50_050,
        ("send_seconds", "a"): 26.0,
        ("throttled_seconds", "b"): 2.5,
    }
    tally.report()
    assert len(lines) == len(reported)
