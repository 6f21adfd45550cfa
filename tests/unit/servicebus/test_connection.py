from __future__ import annotations

import pytest
from dstream_servicebus.access import Access, Entra
from dstream_servicebus.connection import Connector, is_emulator

KEY = "SharedAccessKeyName=n;SharedAccessKey=a2V5"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"Endpoint=sb://h:1;{KEY};UseDevelopmentEmulator=true;", True),
        (f"Endpoint=sb://h:1;{KEY};usedevelopmentemulator=true", True),
        (f"UseDevelopmentEmulator=true;Endpoint=sb://h:1;{KEY}", True),
        (f"Endpoint=sb://h:1;{KEY};UseDevelopmentEmulator=True", False),
        (f"Endpoint=sb://h:1;{KEY};UseDevelopmentEmulator=false", False),
        (f"Endpoint=sb://h:1;{KEY}", False),
    ],
)
def test_the_emulator_flag_is_parsed_like_in_the_sdk(text: str, expected: bool) -> None:
    assert is_emulator(text) is expected


@pytest.mark.parametrize(
    ("namespace", "host"),
    [
        ("sb-orders", "sb-orders.servicebus.windows.net"),
        ("sb-orders.servicebus.windows.net", "sb-orders.servicebus.windows.net"),
        ("sb://sb-orders.servicebus.chinacloudapi.cn/", "sb-orders.servicebus.chinacloudapi.cn"),
    ],
)
def test_a_namespace_is_completed_to_its_host_name(namespace: str, host: str) -> None:
    connector = Connector(Access(Entra(namespace, "cli", "", "", ""), None, None))

    assert connector.client().fully_qualified_namespace == host


def test_the_administration_endpoint_of_an_emulator_is_not_guessed() -> None:
    emulator = f"Endpoint=sb://localhost:1;{KEY};UseDevelopmentEmulator=true"

    assert Connector(Access(emulator, None, None)).administration() is None
    assert Connector(Access(emulator, f"Endpoint=sb://localhost:2;{KEY}", None)).administration() is not None
