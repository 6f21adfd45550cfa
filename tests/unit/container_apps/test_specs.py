"""From the settings of a deployment to what is deployed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from dstream_container_apps.config import Config, Deployed
from dstream_container_apps.specs import app_spec, check, shared_spec, unset_variables, with_recorded_case
from dstream_stacks.container_apps import GrantedRole

from dstream.sdk.errors import ConfigError

STATE = "https://stretail.blob.core.windows.net/dstream"
REGISTRY = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ContainerRegistry/registries/crretail"
VAULT = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-retail"
CONFIG = Config(
    resource_group="rg-retail",
    location="westeurope",
    environment="cae-retail",
    image="crretail.azurecr.io/dstream:1",
)
ORDERS = Deployed(
    task="orders",
    files={"dstream.hcl": "text"},
    config="dstream.hcl",
    state_backend="azblob",
    state_url=STATE,
    output="servicebus",
    output_config={"namespace": "sb-retail", "queue": "orders"},
)
NAMESPACE = "/resourceGroups/rg-retail/providers/Microsoft.ServiceBus/namespaces/sb-retail"
_STATE_SCOPE = "/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/stretail/blobServices/default/containers/dstream"


def with_(**settings: Any) -> Config:
    return msgspec.structs.replace(CONFIG, **settings)


def deployed(**facts: Any) -> Deployed:
    return msgspec.structs.replace(ORDERS, **facts)


def roles(config: Config = CONFIG, facts: Deployed = ORDERS) -> dict[str, str]:
    return {each.role: each.scope for each in app_spec(config, facts).grants}


def test_the_state_url_names_the_storage_account_and_the_container() -> None:
    storage = shared_spec(CONFIG, ORDERS).storage
    assert storage is not None
    assert (storage.account, storage.container) == ("stretail", "dstream")
    assert shared_spec(with_(create_storage_account=False), ORDERS).storage is None
    assert shared_spec(CONFIG, deployed(state_backend="postgres", state_url="")).storage is None


@pytest.mark.parametrize(
    "url",
    [
        "https://stretail.blob.core.windows.net",
        "https://stretail.blob.core.windows.net/a/b",
        f"{STATE}?sv=2024&sig=abc",
        "http://127.0.0.1:10000/devstoreaccount1/dstream",
    ],
)
def test_another_url_is_refused_without_its_signature(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        shared_spec(CONFIG, deployed(state_url=url))
    assert refused.value.code == "container_apps.state_url"
    assert "sig=" not in refused.value.message


def test_checkpoints_in_a_folder_are_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        app_spec(CONFIG, deployed(state_backend="file", state_url=""))
    assert refused.value.code == "container_apps.state_backend"


def test_a_workspace_is_created_unless_one_is_named() -> None:
    assert shared_spec(CONFIG, ORDERS).workspace.name == "log-cae-retail"
    assert shared_spec(with_(log_analytics_workspace="/subscriptions/s/log"), ORDERS).workspace.name == ""


def test_the_container_runs_the_task_as_a_standby_with_its_metrics() -> None:
    spec = app_spec(CONFIG, deployed(arguments=["--var", "env=prod"]))
    assert " ".join(spec.args) == (
        "run orders --config /dstream/dstream.hcl --standby --metrics 0.0.0.0:9100 --log-format json --var env=prod"
    )
    assert "--config /dstream --standby" in " ".join(app_spec(CONFIG, deployed(config="")).args)


@pytest.mark.parametrize(
    ("task", "name"), [("orders", "orders"), ("EuOrders", "eu-orders"), ("eu_orders", "eu-orders")]
)
def test_the_app_has_the_name_of_the_task(task: str, name: str) -> None:
    spec = app_spec(CONFIG, deployed(task=task))
    assert (spec.name, spec.identity, spec.args[1]) == (name, f"id-{name}", task)


@pytest.mark.parametrize("task", ["1st", "a", "a" * 33, "a--b", "ordres.é"])
def test_a_task_whose_name_no_app_can_have_is_refused(task: str) -> None:
    with pytest.raises(ConfigError) as refused:
        app_spec(CONFIG, deployed(task=task))
    assert refused.value.code == "container_apps.bad_name"


def test_the_identity_may_write_checkpoints_and_publish_and_nothing_else() -> None:
    assert app_spec(CONFIG, ORDERS).grants == (
        GrantedRole(role="Storage Blob Data Contributor", scope=_STATE_SCOPE.format(group="rg-retail")),
        GrantedRole(role="Azure Service Bus Data Sender", scope=f"{NAMESPACE}/queues/orders"),
    )


def test_an_existing_storage_account_can_be_in_another_resource_group() -> None:
    config = with_(create_storage_account=False, storage_resource_group="rg-other")
    assert roles(config)["Storage Blob Data Contributor"] == _STATE_SCOPE.format(group="rg-other")


@pytest.mark.parametrize(
    ("output", "scope"),
    [
        ({"topic": "events"}, f"{NAMESPACE}/topics/events"),
        ({"queue": "team/orders"}, f"{NAMESPACE}/queues/team~orders"),
        ({"queue": "shop-{table}"}, NAMESPACE),
        ({"queue": "orders", "dead_letter": {"queue": "dead"}}, NAMESPACE),
        ({"queue": "orders", "namespace": "sb-retail.servicebus.windows.net"}, f"{NAMESPACE}/queues/orders"),
        ({"queue": "orders", "resource_group": "rg-bus"}, f"{NAMESPACE}/queues/orders".replace("rg-retail", "rg-bus")),
        ({"queue": "orders", "connection_string": "***"}, None),
        ({"queue": "orders", "connection": "stack", "output_secret": "azurekeyvault://kv/bus"}, None),
    ],
)
def test_the_identity_may_publish_only_where_the_task_does(output: dict[str, Any], scope: str | None) -> None:
    facts = deployed(output_config={"namespace": "sb-retail", **output})
    assert roles(facts=facts).get("Azure Service Bus Data Sender") == scope


def test_an_output_other_than_servicebus_gets_no_role() -> None:
    assert list(roles(facts=deployed(output="console"))) == ["Storage Blob Data Contributor"]


ENVIRONMENT = "/subscriptions/s/resourceGroups/rg-retail/providers/Microsoft.App/managedEnvironments/cae-retail"


@pytest.mark.parametrize(
    "recorded",
    [
        [{"resourceGroupName": "rg-retail", "environmentName": "cae-retail"}, {"resourceUri": "known later"}],
        [{"resourceGroupName": "rg-retail"}, {"managedEnvironmentId": ENVIRONMENT}],
    ],
    ids=["shared", "app"],
)
def test_names_that_differ_from_the_record_in_case_only_change_nothing(recorded: list[dict[str, Any]]) -> None:
    upper = with_(resource_group="RG-Retail", environment="CAE-Retail")
    assert with_recorded_case(upper, recorded) == CONFIG
    other = with_(resource_group="rg-other", environment="cae-other")
    assert with_recorded_case(other, recorded) == other


def test_an_environment_can_be_an_id_in_any_case() -> None:
    config = with_recorded_case(with_(environment=ENVIRONMENT.upper()), [{"managedEnvironmentId": ENVIRONMENT}])
    assert config.environment == ENVIRONMENT


def test_rows_that_cannot_be_delivered_must_not_be_kept_in_the_container() -> None:
    with pytest.raises(ConfigError) as refused:
        app_spec(CONFIG, deployed(output_config={"queue": "orders", "dead_letter": {"file": "/tmp/rejected.jsonl"}}))
    assert refused.value.code == "container_apps.dead_letter_file"


def test_a_connection_that_needs_the_engine_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        app_spec(CONFIG, deployed(output_config={"connection": "stack"}))
    assert refused.value.code == "container_apps.needs_engine"


def test_a_registry_and_a_vault_are_readable_by_the_identity() -> None:
    config = with_(registry=REGISTRY, vault=VAULT, secrets={"MSSQL": "azurekeyvault://kv-retail/mssql"})
    assert app_spec(config, ORDERS).registry == "crretail.azurecr.io"
    assert app_spec(config, ORDERS).secrets == {"MSSQL": "https://kv-retail.vault.azure.net/secrets/mssql"}
    assert roles(config)["AcrPull"] == REGISTRY
    assert roles(config)["Key Vault Secrets User"] == VAULT


@pytest.mark.parametrize(
    ("settings", "code", "path"),
    [
        ({"cpu": 0.3}, "container_apps.bad_cpu", "cpu"),
        ({"cpu": 0.0}, "container_apps.bad_cpu", "cpu"),
        ({"cpu": 4.25}, "container_apps.bad_cpu", "cpu"),
        ({"environment": "/subscriptions/s/cae"}, "container_apps.created_id", "environment"),
        ({"registry": "crretail"}, "container_apps.bad_id", "registry"),
        ({"vault": REGISTRY}, "container_apps.bad_id", "vault"),
        ({"registry": REGISTRY, "image": "docker.io/dstream"}, "container_apps.other_registry", "image"),
        ({"secrets": {"A": "hunter2"}}, "container_apps.not_a_reference", "secrets.A"),
        ({"secrets": {"A": "https://kv/secrets/a"}}, "container_apps.not_a_reference", "secrets.A"),
        (
            {"secrets": {"A": "azurekeyvault://kv-retail/a"}, "env": {"A": "b"}},
            "container_apps.set_twice",
            "env.A",
        ),
        (
            {"env": {"DSTREAM_CONFIGURATION_DIGEST": "1"}},
            "container_apps.set_twice",
            "env.DSTREAM_CONFIGURATION_DIGEST",
        ),
        (
            {"secrets": {"DSTREAM_CONFIGURATION_DIGEST": "azurekeyvault://kv-retail/a"}},
            "container_apps.set_twice",
            "secrets.DSTREAM_CONFIGURATION_DIGEST",
        ),
    ],
)
def test_settings_that_azure_would_refuse_are_errors(settings: dict[str, Any], code: str, path: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check(with_(**settings))
    assert (refused.value.code, refused.value.config_path) == (code, path)
    assert "hunter2" not in refused.value.message


def test_a_plan_mentions_variables_that_the_container_will_not_have() -> None:
    text = 'a = env("A") + env("B") + env("C", "default") + env("D") + env("E")'
    config = with_(env={"A": "1"}, secrets={"B": "azurekeyvault://kv-retail/b"})
    assert unset_variables(config, deployed(files={"dstream.hcl": text}, env={"D": "1"})) == ["E"]
