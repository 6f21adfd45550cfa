"""`dstream provider test` checks servicebus against the lifecycle rules, with the real engine and the sandbox."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.servicebus.management import ServiceBusAdministrationClient

from tests.running import DStream, Sandbox


@pytest.mark.soak  # about twenty commands of the engine
def test_entities_mode_passes_the_kit_and_leaves_nothing(
    sandbox: Sandbox, administration: ServiceBusAdministrationClient, tmp_path: Path
) -> None:
    settings = {
        "mode": "entities",
        "connection_string": sandbox.env["ASB_CONNECTION_STRING"],
        "admin_connection_string": sandbox.env["ASB_ADMIN_CONNECTION_STRING"],
        "queue": "kit",
    }
    config = tmp_path / "config.json"
    config.write_text(json.dumps(settings))
    dstream = DStream(tmp_path, sandbox.env)
    done = dstream("provider", "test", "servicebus", "--config", config, "--lifecycle", "--json")
    report = json.loads(done.stdout)
    assert [(each["name"], each["reason"]) for each in report["checks"] if each["outcome"] != "passed"] == []
    assert "destroys_what_it_created" in [each["name"] for each in report["checks"]]
    with pytest.raises(ResourceNotFoundError):
        administration.get_queue("kit")
