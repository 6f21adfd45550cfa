"""Errors when the administration endpoint cannot be used: one line, and no secret."""

from __future__ import annotations

import re
from pathlib import Path

from azure.servicebus.management import ServiceBusAdministrationClient
from dstream_sandbox.environment import admin_connection_string

from tests.integration.engine import Stack
from tests.integration.servicebus_entities.serving import entity, serving
from tests.running import Sandbox

_KEY = "c2VjcmV0IGtleSB0aGF0IG5vYm9keSBtYXkgc2Vl"


def refusal(connection_string: str, sandbox: Sandbox, folder: Path) -> str:
    with serving(lambda: _client(connection_string, sandbox)) as port:
        stack = Stack(folder, {"dstream": port})
        stack.resources = [entity("Queue", "refused", {"queueName": "refused"})]
        said = stack.refused("up")
    assert _KEY not in said
    return said


def test_a_key_without_manage_is_reported(sandbox: Sandbox, tmp_path: Path) -> None:
    connection_string = re.sub(r"(?<=SharedAccessKey=)[^;]+", _KEY, admin_connection_string(sandbox.settings))
    assert "error: queue/refused: not authorized: requires the Manage claim\n" in refusal(
        connection_string, sandbox, tmp_path
    )


def test_an_unreachable_endpoint_is_named(sandbox: Sandbox, tmp_path: Path) -> None:
    nobody = f"Endpoint=sb://localhost:9;SharedAccessKeyName=all;SharedAccessKey={_KEY}"
    said = refusal(nobody, sandbox, tmp_path)
    assert re.search(r"error: queue/refused: the administration endpoint is unreachable: .*Connection refused\n", said)


def _client(connection_string: str, sandbox: Sandbox) -> ServiceBusAdministrationClient:
    return ServiceBusAdministrationClient.from_connection_string(
        connection_string, connection_verify=str(sandbox.folder.ca_file), retry_total=0
    )
