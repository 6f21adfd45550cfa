from __future__ import annotations

import socket

import pytest
from azure.core.exceptions import ClientAuthenticationError
from dstream_servicebus import connection
from dstream_servicebus.access import Access, Entra, access, is_emulator
from dstream_servicebus.config import Config
from dstream_servicebus.connection import Connector

from dstream.sdk import decode_config
from dstream.sdk.errors import ConfigError

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


def of(connection_string: str, **settings: object) -> Config:
    return decode_config({"queue": "q", "connection_string": connection_string, **settings}, Config)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_an_emulator_on_this_machine_needs_no_setting(host: str) -> None:
    assert access(of(f"Endpoint=sb://{host}:1;{KEY};UseDevelopmentEmulator=true;")).plaintext_hosts == ()


@pytest.mark.parametrize("host", ["emulator", "sb-orders.servicebus.windows.net", "10.0.0.7", "[x"])
@pytest.mark.parametrize("setting", ["connection_string", "admin_connection_string"])
def test_an_emulator_on_another_machine_is_refused_unless_allowed(host: str, setting: str) -> None:
    plain = f"Endpoint=sb://{host}:1;{KEY};UseDevelopmentEmulator=true;"
    settings = {"connection_string": f"Endpoint=sb://sb.example.com;{KEY}", setting: plain}
    with pytest.raises(ConfigError, match="without TLS") as caught:
        access(of(**settings))
    assert (caught.value.code, caught.value.config_path) == ("servicebus.plaintext", setting)
    assert "allow_plaintext = true" in caught.value.hint
    assert len(access(of(**settings, allow_plaintext=True)).plaintext_hosts) == 1


def test_a_connection_with_tls_is_not_warned_about() -> None:
    assert access(of(f"Endpoint=sb://sb.example.com;{KEY}", allow_plaintext=True)).plaintext_hosts == ()


def test_a_sign_in_fails_soon_if_the_identity_provider_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SIGN_IN", {**connection.SIGN_IN, "connection_timeout": 0.1})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", silent.getsockname())
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [address])
        monkeypatch.setenv("NO_PROXY", "*")
        credential = connection._credential(Entra("sb-orders", "client_secret", "t", "c", "s"))
        with pytest.raises(ClientAuthenticationError, match="timed out"):
            credential.get_token("https://servicebus.azure.net//.default")
