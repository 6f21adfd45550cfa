"""Encryption is given up only on the way to this machine, or if the task allows it."""

from __future__ import annotations

from typing import Any, cast

import pytest
from dstream_mssql_cdc.config import Config
from dstream_mssql_cdc.server.connection_string import ConnectionSettings, parse_connection_string
from dstream_mssql_cdc.server.connector import ServerConnector
from dstream_mssql_cdc.server.encryption import check_driver, check_encryption

from dstream.sdk import Telemetry, decode_config
from dstream.sdk.errors import ConfigError


def settings(server: str, rest: str) -> ConnectionSettings:
    return parse_connection_string(f"{server};database=S;uid=u;pwd=hunter2;{rest}")


UNPROTECTED = ["encrypt=disable", "Encrypt=no", "Encrypt=optional", "TrustServerCertificate=yes"]
UNPROTECTED += ["Encrypt=yes;Trust Server Certificate=true"]


@pytest.mark.parametrize("rest", UNPROTECTED)
@pytest.mark.parametrize(
    "server",
    [
        "server=db",
        "server=tcp:sqlserver,1433",
        "server=db\\localhost",
        "server=localhost.example.com",
        "server=10.0.0.7;port=1433",
        "server=0.0.0.0",
        "server=localhost;failoverpartner=db",
        "DSN=orders",
    ],
)
def test_another_machine_is_refused_with_the_ways_to_trust_its_certificate(server: str, rest: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_encryption(settings(server, rest), allow_plaintext=False)
    error = caught.value
    assert (error.code, error.config_path) == ("mssql.plaintext", "db_connection_string")
    for fix in ("ServerCertificate=FILE", "CA", "HostNameInCertificate=NAME", "allow_plaintext = true"):
        assert fix in error.hint
    assert "hunter2" not in f"{error}{error.hint}"
    assert check_encryption(settings(server, rest), allow_plaintext=True)


@pytest.mark.parametrize("rest", UNPROTECTED)
@pytest.mark.parametrize(
    "server",
    [
        "server=localhost,1433",
        "server=tcp:LOCALHOST;port=1433",
        "server=127.0.0.1\\SQLEXPRESS",
        "server=[::1],1433",
        "server=.",
        "server=(local)",
        "server=localhost;failoverpartner=127.0.0.2",
    ],
)
def test_this_machine_needs_no_setting(server: str, rest: str) -> None:
    assert check_encryption(settings(server, rest), allow_plaintext=False) == ""


@pytest.mark.parametrize("rest", ["", "Encrypt=yes", "Encrypt=strict;TrustServerCertificate=yes", "encrypt=true"])
def test_a_protected_connection_is_neither_refused_nor_warned_about(rest: str) -> None:
    assert check_encryption(settings("server=db", rest), allow_plaintext=False) == ""
    assert check_encryption(settings("server=db", rest), allow_plaintext=True) == ""


@pytest.mark.parametrize("driver", ["/tmp/x.so", "{/tmp/x.so}", "../x.so", "x\\y.dll"])
def test_a_library_in_the_connection_string_is_refused_unless_the_task_names_one(driver: str) -> None:
    found = settings("server=db", f"DRIVER={driver}")
    with pytest.raises(ConfigError, match="path of a library") as caught:
        check_driver(found, None)
    assert (caught.value.code, "odbc_driver" in caught.value.hint) == ("mssql.driver_path", True)
    check_driver(found, "/opt/driver.so")
    check_driver(settings("server=db", "DRIVER={ODBC Driver 17 for SQL Server}"), None)


class Heard:
    """Keeps what a provider warns about."""

    def __init__(self) -> None:
        self.warnings: list[tuple[str, dict[str, Any]]] = []

    def warning(self, event: str, **fields: Any) -> None:
        self.warnings.append((event, fields))


def test_a_start_without_protection_is_refused_or_warned_about() -> None:
    heard = Heard()
    config = {"db_connection_string": "server=db;database=S;encrypt=disable", "tables": ["T"]}
    with pytest.raises(ConfigError, match="Encrypt=no"):
        ServerConnector(decode_config(config, Config), cast(Telemetry, heard))
    assert heard.warnings == []
    ServerConnector(decode_config({**config, "allow_plaintext": True}, Config), cast(Telemetry, heard))
    ((event, fields),) = heard.warnings
    assert (event, fields["server"]) == ("mssql.plaintext", "db")
    assert "Encrypt=no" in fields["note"]
