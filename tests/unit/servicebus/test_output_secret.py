"""`output_secret`: what `plan` and `status` show, what `init` writes, `run` reads and `destroy` deletes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
from dstream_servicebus.config import Config
from dstream_servicebus.output_secret import OutputSecret
from dstream_servicebus.provider import ServiceBus
from dstream_servicebus.specs.provision import spec_of

from dstream.errors import AuthError, ConfigError
from dstream.infra import PulumiInfrastructure
from dstream.key_vault.client import KeyVaults
from dstream.key_vault.secret import KeyVaultSecret
from dstream.protocol.lifecycle import LifecycleOptions
from dstream.redact import MASK, Redactor, source_line
from dstream.sdk import InfrastructureContext, Plan, Resource, Result, decode_config

NAME = "azurekeyvault://retail/orders-send"


class Vaults:
    """Key vaults in memory; without `value`, the secret does not exist."""

    def __init__(self, value: str | None = None, denied: bool = False) -> None:
        self.value, self._denied, self.writes = value, denied, 0

    def find(self, secret: KeyVaultSecret) -> str | None:
        assert secret == KeyVaultSecret("retail.vault.azure.net", "orders-send")
        if self._denied:
            raise AuthError("keyvault.no_access", "denied")
        return self.value

    def write(self, secret: KeyVaultSecret, value: str) -> None:
        self.value, self.writes = value, self.writes + 1

    def delete(self, secret: KeyVaultSecret) -> None:
        self.value = None


def secret_in(vaults: Vaults) -> OutputSecret:
    return OutputSecret(NAME, cast("KeyVaults", vaults))


@pytest.mark.parametrize(
    ("stored", "recorded", "op"),
    [
        (None, None, "create"),
        (None, "Endpoint=new", "create"),
        ("Endpoint=old", "Endpoint=new", "update"),
        ("Endpoint=old", None, "update"),
        ("Endpoint=new", "Endpoint=new", "same"),
    ],
)
def test_the_plan_compares_the_secret_with_the_record(stored: str | None, recorded: str | None, op: str) -> None:
    step = secret_in(Vaults(stored)).planned(recorded)
    assert (step.name, step.op, step.kind) == (NAME, op, "secret")
    assert "Endpoint" not in str(step)


def test_a_new_version_is_written_only_if_the_value_differs() -> None:
    vaults = Vaults()
    assert [secret_in(vaults).written("Endpoint=new").op for _ in range(2)] == ["create", "same"]
    assert (vaults.value, vaults.writes) == ("Endpoint=new", 1)
    assert secret_in(vaults).read() == "Endpoint=new"


@pytest.mark.parametrize(
    ("stored", "op", "note"),
    [
        ("Endpoint=mine", "same", ""),
        (None, "delete", "deleted outside DStream"),
        ("Endpoint=other", "update", "does not contain the recorded connection string"),
    ],
)
def test_a_missing_or_changed_secret_is_drift(stored: str | None, op: str, note: str) -> None:
    found = secret_in(Vaults(stored)).actual("Endpoint=mine")
    assert (found.name, found.op, found.note) == (NAME, op, note)


@pytest.mark.parametrize(
    ("stored", "op", "left"),
    [("Endpoint=mine", "delete", None), ("Endpoint=other", "same", "Endpoint=other"), (None, None, None)],
)
def test_only_a_secret_with_the_recorded_value_is_deleted(stored: str | None, op: str | None, left: str | None) -> None:
    vaults = Vaults(stored)
    planned = secret_in(vaults).planned_deletion("Endpoint=mine")
    assert vaults.value == stored
    assert secret_in(vaults).deleted("Endpoint=mine") == planned
    assert (planned and planned.op, vaults.value) == (op, left)


def test_run_says_that_init_must_write_the_secret_first() -> None:
    with pytest.raises(ConfigError, match="does not exist yet") as caught:
        secret_in(Vaults()).read()
    assert (caught.value.code, caught.value.config_path) == ("servicebus.no_output_secret", "output_secret")


def test_errors_of_the_vault_point_to_the_setting() -> None:
    with pytest.raises(AuthError) as caught:
        secret_in(Vaults(denied=True)).planned("x")
    assert (caught.value.code, caught.value.config_path) == ("keyvault.no_access", "output_secret")


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"connection": "stack", "output_secret": "retail/orders-send"}, "servicebus.bad_output_secret"),
        ({"connection": "stack", "output_secret": f"{NAME}/0abc"}, "servicebus.bad_output_secret"),
        ({"connection_string": "Endpoint=sb://x", "output_secret": NAME}, "servicebus.unused_setting"),
        ({"connection": "stack", "credential": "cli", "output_secret": NAME}, "servicebus.unused_setting"),
    ],
)
def test_a_secret_that_is_invalid_or_has_no_effect_is_refused(settings: dict[str, str], code: str) -> None:
    config = decode_config({"resource_group": "rg", "namespace": "sb", "queue": "orders", **settings}, Config)
    with pytest.raises(ConfigError) as caught:
        spec_of(config)
    assert (caught.value.code, caught.value.config_path) == (code, "output_secret")


def test_the_plan_shows_that_a_new_key_changes_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = Resource("orders/dstream-send", "azure-native:servicebus:QueueAuthorizationRule", "same")
    regenerated = Resource("connection_string", "output", "update")
    plans = [Plan([rule]), Plan([rule._replace(op="create")]), Plan([rule, regenerated])]
    monkeypatch.setattr(PulumiInfrastructure, "plan", lambda self, context: plans.pop(0))
    monkeypatch.setattr(KeyVaults, "find", lambda self, secret: "Endpoint=known")
    monkeypatch.setattr("dstream_servicebus.provider._connection_string", lambda context: "Endpoint=known")
    context = cast("InfrastructureContext", SimpleNamespace(options=LifecycleOptions()))
    assert [provider().plan(context).resources[-1].op for _ in range(3)] == ["same", "update", "update"]


@pytest.mark.parametrize(
    ("keeps", "excluded"), [(False, []), (True, []), (False, ["orders"])], ids=["all", "retained", "excluded"]
)
def test_destroy_does_not_depend_on_the_vault(
    monkeypatch: pytest.MonkeyPatch, keeps: bool, excluded: list[str]
) -> None:
    """With `retain_on_delete` and `--exclude`, the key may stay valid, and so does the secret."""

    def denied(self: KeyVaults, secret: KeyVaultSecret) -> str:
        raise AuthError("keyvault.no_access", "access denied")

    monkeypatch.setattr(PulumiInfrastructure, "destroy", lambda self, context: Result())
    monkeypatch.setattr(KeyVaults, "find", denied)
    monkeypatch.setattr("dstream_servicebus.provider._connection_string", lambda context: "Endpoint=known")
    said: list[str] = []
    options = LifecycleOptions(exclude=excluded)
    context = SimpleNamespace(options=options, diagnostic=lambda severity, message: said.append(message))
    assert provider(retain_on_delete=keeps).destroy(cast("InfrastructureContext", context)) == Result()
    assert said == ([] if keeps or excluded else [f"{NAME} stays in place: access denied"])


def provider(**settings: bool) -> ServiceBus:
    made = ServiceBus()
    made.config = decode_config({"connection": "stack", "queue": "orders", "output_secret": NAME, **settings}, Config)
    return made


def test_the_name_of_a_secret_is_not_hidden() -> None:
    redactor = Redactor(configs=[{"output_secret": NAME, "client_secret": "Zq7Vault4Kx"}])
    assert redactor.text(f"{NAME} Zq7Vault4Kx") == f"{NAME} {MASK}"
    assert redactor.value({"output_secret": NAME}) == {"output_secret": NAME}


def test_an_error_shows_the_line_of_the_setting() -> None:
    line = f'output_secret = "{NAME}"'
    assert source_line(line) == line
