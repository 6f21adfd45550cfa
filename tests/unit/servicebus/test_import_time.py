"""What a lifecycle command imports: a large part of its time."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tests.unit.servicebus.specs import KEY, PLACE

_PROGRAM = """
import sys
from dstream_servicebus.config import Config
from dstream_servicebus.infrastructure.definition import definition
from dstream.sdk import decode_config
definition(decode_config({config!r}, Config), import_existing=False)
print(*sorted(name for name in ("azure.core", "azure.servicebus", "pulumi_azure_native") if name in sys.modules))
"""


@pytest.mark.parametrize(
    ("settings", "imported"),
    [
        (PLACE, ""),
        ({"mode": "entities", "namespace": "sb-orders", "connection_string": KEY}, "azure.core azure.servicebus"),
    ],
    ids=["arm", "entities"],
)
def test_azures_sdk_is_imported_only_for_mode_entities(settings: dict[str, Any], imported: str) -> None:
    program = _PROGRAM.format(config={**settings, "queue": "orders"})
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == imported, done.stderr
