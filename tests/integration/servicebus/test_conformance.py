"""`dstream provider test` checks servicebus against the protocol, with the real client library and a broker."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.integration.servicebus.broker import FAST_RETRIES, KEY, Broker
from tests.running import DStream


def test_servicebus_passes_the_kit(calm: Broker, new_name: Callable[[], str], tmp_path: Path) -> None:
    queue = calm.create_queue(new_name())
    config = tmp_path / "config.json"
    settings = {"connection_string": calm.connection_string, "queue": queue, "retry": FAST_RETRIES}
    settings |= {"on_error": {"refused": "dead_letter"}, "dead_letter": {"file": "rejected.jsonl"}}
    config.write_text(json.dumps(settings))
    done = DStream(tmp_path)("provider", "test", "servicebus", "--role", "output", "--config", config, "--json")
    report = json.loads(done.stdout)
    assert [(each["name"], each["outcome"]) for each in report["checks"] if each["outcome"] != "passed"] == [
        ("shows_a_dead_letter", "skipped")  # there are none
    ]
    assert done.returncode == 0
    assert (report["name"], report["role"], report["passed"]) == ("servicebus", "output", True)
    assert KEY not in done.stdout + done.stderr
