"""`dstream sandbox env`: a contract that other programs rely on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from dstream_sandbox.certificates import ensure_certificates

from tests.integration.sandbox.commands import Commands
from tests.running import BIN, planted_modules

_NAMES = {
    "MSSQL_HOST", "MSSQL_PORT", "MSSQL_USER", "MSSQL_PASSWORD", "MSSQL_DATABASE", "MSSQL_CONNECTION_STRING",
    "ASB_CONNECTION_STRING", "ASB_ADMIN_CONNECTION_STRING", "ASB_AMQP_PORT", "ASB_AMQPS_PORT", "ASB_ADMIN_PORT",
    "SANDBOX_CONTROL_TOKEN", "SANDBOX_CA_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "ASB_NAMESPACE", "ASB_RESOURCE_GROUP",
    "PULUMI_DEBUG_PROVIDERS", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "ARM_SUBSCRIPTION_ID",
    "ARM_METADATA_HOSTNAME",
}  # fmt: skip
_ADMINISTER = """
import os
from azure.servicebus.management import ServiceBusAdministrationClient
client = ServiceBusAdministrationClient.from_connection_string(os.environ["ASB_ADMIN_CONNECTION_STRING"])
client.create_queue("made-by-the-administration-client")
print([queue.name for queue in client.list_queues()])
"""
_OPENSSL = """
import os, urllib.request
url = f"https://localhost:{os.environ['ASB_ADMIN_PORT']}/_sandbox/faults"
asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {os.environ['SANDBOX_CONTROL_TOKEN']}"})
print(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked).status)
"""
_QUERY = """
import os, pyodbc
from dstream_sandbox.clients import odbc_driver
print(pyodbc.connect(f"DRIVER={odbc_driver()};" + os.environ["MSSQL_CONNECTION_STRING"]).execute(
    "SELECT name, is_cdc_enabled FROM sys.databases WHERE name = DB_NAME()").fetchone())
"""


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """A sandbox whose path needs quoting."""
    folder = tmp_path_factory.mktemp("environment")
    commands = Commands(folder / "it's a $folder")
    ran = planted_modules(folder)
    up = [BIN / "dstream", "sandbox", "up", "--detach", "--data", commands.data]
    subprocess.run(up, cwd=folder, capture_output=True, timeout=90, check=True)
    assert not ran.exists(), "a module in the working folder was imported"
    yield commands
    commands("down")


@pytest.fixture(scope="module")
def variables(commands: Commands) -> dict[str, str]:
    found: dict[str, str] = json.loads(commands("env", "--json").stdout)
    return found


def _python(code: str, variables: dict[str, str]) -> str:
    """Run the code with only these variables set; return its stdout."""
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _certificates(bundle: str | Path) -> set[str]:
    return {part.strip() for part in Path(bundle).read_text().split("-----END CERTIFICATE-----")}


def test_env_prints_every_name_and_value_of_the_contract(commands: Commands, variables: dict[str, str]) -> None:
    status = commands.status
    sql, bus = status["sqlserver"], status["servicebus"]
    assert set(variables) == _NAMES
    assert (variables["MSSQL_HOST"], variables["MSSQL_PORT"]) == ("127.0.0.1", str(sql["port"]))
    password = variables["MSSQL_PASSWORD"]
    assert variables["MSSQL_CONNECTION_STRING"] == (
        f"Server=127.0.0.1,{sql['port']};Database={variables['MSSQL_DATABASE']};UID={variables['MSSQL_USER']};"
        f"PWD={password};Encrypt=yes;TrustServerCertificate=yes"
    )
    key = variables["ASB_CONNECTION_STRING"].split(";SharedAccessKey=")[1].split(";")[0]
    for name, port in (("ASB_CONNECTION_STRING", bus["amqp_port"]), ("ASB_ADMIN_CONNECTION_STRING", bus["admin_port"])):
        assert variables[name] == (
            f"Endpoint=sb://localhost:{port};SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey={key};"
            "UseDevelopmentEmulator=true;"
        )
    assert [variables[f"ASB_{port}_PORT"] for port in ("AMQP", "AMQPS", "ADMIN")] == [
        str(bus[f"{port}_port"]) for port in ("amqp", "amqps", "admin")
    ]
    assert (variables["ASB_NAMESPACE"], variables["ASB_RESOURCE_GROUP"]) == ("sandbox", "sandbox")
    assert variables["PULUMI_DEBUG_PROVIDERS"] == f"azure-native:{bus['azure_port']}"
    assert variables["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"
    assert variables["ARM_METADATA_HOSTNAME"] == f"https://localhost:{bus['admin_port']}/_sandbox/arm"
    assert str(UUID(variables["ARM_SUBSCRIPTION_ID"])) == variables["ARM_SUBSCRIPTION_ID"]


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_eval_in_a_shell_gives_the_same_values(commands: Commands, variables: dict[str, str], shell: str) -> None:
    exports = commands("env").stdout
    assert all(line.startswith("export ") and "='" in line for line in exports.splitlines())
    script = 'eval "$1"; exec "$2" -c "import json, os; print(json.dumps(dict(os.environ)))"'
    done = subprocess.run(
        [shell, "-c", script, shell, exports, sys.executable], capture_output=True, text=True, check=True
    )
    seen = json.loads(done.stdout)
    assert {name: seen.get(name) for name in variables} == variables


def test_the_administration_client_needs_only_the_variables(variables: dict[str, str]) -> None:
    assert "made-by-the-administration-client" in _python(_ADMINISTER, variables)


def test_pythons_ssl_trusts_the_sandbox_with_only_the_variables(variables: dict[str, str]) -> None:
    assert _python(_OPENSSL, variables).strip() == "200"


def test_the_odbc_driver_connects_with_only_the_variables(variables: dict[str, str]) -> None:
    assert _python(_QUERY, variables).strip() == "('sandbox', True)"


def test_the_bundle_includes_the_public_authorities(variables: dict[str, str]) -> None:
    bundle = _certificates(variables["REQUESTS_CA_BUNDLE"])
    assert len(bundle) > 100
    assert _certificates(variables["SANDBOX_CA_FILE"]) <= bundle


def test_a_custom_ca_bundle_is_kept_when_env_runs_repeatedly(commands: Commands, tmp_path: Path) -> None:
    ensure_certificates(tmp_path)
    wanted = _certificates(tmp_path / "ca.pem")
    bundle = str(tmp_path / "ca.pem")
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "dstream_sandbox", "env", "--json", "--data", commands.data],
            env={**os.environ, "REQUESTS_CA_BUNDLE": bundle, "SSL_CERT_FILE": bundle},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        bundle = json.loads(done.stdout)["REQUESTS_CA_BUNDLE"]
        assert wanted <= _certificates(bundle)
