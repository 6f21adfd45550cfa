"""The programs of a deployment, with azure-native's classes on Pulumi's mocks."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from dstream_stacks import resource_ids as ids
from dstream_stacks.container_apps import (
    AppSpec,
    GrantedRole,
    SharedSpec,
    StateStorage,
    Workspace,
    as_document,
    assignment_name,
    secret_name,
)
from dstream_stacks.container_apps_program import app_program, shared_program

from tests.unit.stacks.declared import SUBSCRIPTION, declared

GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-retail"
ACCOUNT = "/resourceGroups/rg-retail/providers/Microsoft.Storage/storageAccounts/stretail"
REGISTRY = "/subscriptions/other/resourceGroups/rg/providers/Microsoft.ContainerRegistry/registries/crretail"
SHARED = SharedSpec(
    resource_group="rg-retail",
    location="westeurope",
    environment="cae-retail",
    workspace=Workspace(name="log-cae-retail"),
    storage=StateStorage(account="stretail", container="dstream"),
    tags={"team": "sales"},
)
APP = AppSpec(
    resource_group="rg-retail",
    location="westeurope",
    environment="cae-retail",
    name="orders",
    identity="id-orders",
    image="crretail.azurecr.io/dstream:1",
    registry="crretail.azurecr.io",
    cpu=0.75,
    replicas=2,
    args=("run", "orders", "--standby"),
    files={"dstream.hcl": "task {}"},
    env={"TZ": "UTC"},
    secrets={"MSSQL_PASSWORD": "https://kv-retail.vault.azure.net/secrets/mssql"},
    grants=(
        GrantedRole(role="Storage Blob Data Contributor", scope=f"{ACCOUNT}/blobServices/default/containers/dstream"),
        GrantedRole(role="AcrPull", scope=REGISTRY),
    ),
    tags={"team": "sales"},
)


@pytest.fixture(scope="module")
def shared() -> dict[tuple[str, str], dict[str, Any]]:
    return declared(shared_program(SHARED))


@pytest.fixture(scope="module")
def app() -> dict[tuple[str, str], dict[str, Any]]:
    return declared(app_program(APP))


@pytest.fixture
def container(app: dict[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    (found,) = app[ids.CONTAINER_APP, "orders"]["template"]["containers"]
    return found  # type: ignore[no-any-return]


def test_all_tasks_share_an_environment_with_its_logs_and_the_storage_of_checkpoints(
    shared: dict[tuple[str, str], dict[str, Any]],
) -> None:
    assert sorted(shared) == [
        (ids.ENVIRONMENT, "cae-retail"),
        (ids.DIAGNOSTIC_SETTING, "cae-retail/logs"),
        (ids.WORKSPACE, "log-cae-retail"),
        (ids.BLOB_CONTAINER, "stretail/dstream"),
        (ids.STORAGE_ACCOUNT, "stretail"),
    ]


def test_logs_reach_the_workspace_without_its_key(shared: dict[tuple[str, str], dict[str, Any]]) -> None:
    assert shared[ids.ENVIRONMENT, "cae-retail"]["appLogsConfiguration"] == {"destination": "azure-monitor"}
    assert shared[ids.DIAGNOSTIC_SETTING, "cae-retail/logs"]["workspaceId"] == "id of log-cae-retail"
    existing = msgspec.structs.replace(SHARED, workspace=Workspace(id="/subscriptions/s/log"))
    found = declared(shared_program(existing))
    assert found[ids.DIAGNOSTIC_SETTING, "cae-retail/logs"]["workspaceId"] == "/subscriptions/s/log"
    assert (ids.WORKSPACE, "log-cae-retail") not in found


def test_the_storage_account_has_no_access_by_key_and_none_for_the_public(
    shared: dict[tuple[str, str], dict[str, Any]],
) -> None:
    account = shared[ids.STORAGE_ACCOUNT, "stretail"]
    assert account["allowSharedKeyAccess"] is False
    assert account["allowBlobPublicAccess"] is False
    assert account["minimumTlsVersion"] == "TLS1_2"
    assert shared[ids.BLOB_CONTAINER, "stretail/dstream"]["publicAccess"] == "None"


def test_a_resource_group_is_declared_on_request() -> None:
    found = declared(shared_program(msgspec.structs.replace(SHARED, create_resource_group=True)))
    assert found[ids.RESOURCE_GROUP, "rg-retail"] == {
        "resourceGroupName": "rg-retail",
        "location": "westeurope",
        "tags": {"team": "sales"},
    }


def test_what_exists_already_is_not_declared() -> None:
    assert declared(shared_program(msgspec.structs.replace(SHARED, environment="", storage=None))) == {}


def test_one_revision_is_active_and_the_number_of_replicas_is_fixed(
    app: dict[tuple[str, str], dict[str, Any]],
) -> None:
    found = app[ids.CONTAINER_APP, "orders"]
    assert found["configuration"]["activeRevisionsMode"] == "Single"
    assert "ingress" not in found["configuration"]
    assert "workloadProfileName" not in found, "an environment of the type Consumption only refuses a name"
    assert found["template"]["scale"] == {"minReplicas": 2, "maxReplicas": 2}
    assert 25 < found["template"]["terminationGracePeriodSeconds"] <= 600
    assert found["managedEnvironmentId"] == f"{GROUP}/providers/Microsoft.App/managedEnvironments/cae-retail"


def test_an_environment_of_another_resource_group_is_used_by_its_id() -> None:
    other = "/subscriptions/s/resourceGroups/rg-other/providers/Microsoft.App/managedEnvironments/cae"
    found = declared(app_program(msgspec.structs.replace(APP, environment=other)))
    assert found[ids.CONTAINER_APP, "orders"]["managedEnvironmentId"] == other


def test_memory_is_two_gibibytes_per_core(container: dict[str, Any]) -> None:
    assert container["resources"] == {"cpu": 0.75, "memory": "1.5Gi"}


def test_the_container_signs_in_as_the_identity_of_its_task(
    app: dict[tuple[str, str], dict[str, Any]], container: dict[str, Any]
) -> None:
    found = app[ids.CONTAINER_APP, "orders"]
    assert found["identity"] == {"type": "UserAssigned", "userAssignedIdentities": ["id of id-orders"]}
    assert found["configuration"]["registries"] == [{"server": "crretail.azurecr.io", "identity": "id of id-orders"}]
    variables = {each["name"]: each.get("value") for each in container["env"]}
    assert variables["AZURE_CLIENT_ID"] == "client of id-orders"
    assert variables["TZ"] == "UTC"


def test_secrets_are_references_to_key_vault_that_the_identity_reads(
    app: dict[tuple[str, str], dict[str, Any]], container: dict[str, Any]
) -> None:
    assert {"name": "MSSQL_PASSWORD", "secretRef": "mssql-password"} in container["env"]
    assert {
        "name": "mssql-password",
        "keyVaultUrl": "https://kv-retail.vault.azure.net/secrets/mssql",
        "identity": "id of id-orders",
    } in app[ids.CONTAINER_APP, "orders"]["configuration"]["secrets"]


def test_every_variable_has_a_secret_of_its_own_with_a_name_that_azure_accepts() -> None:
    names = [secret_name(each) for each in ("DB", "db", "_DB", "DB_", "D__B", "_")]
    assert len(set(names)) == len(names)
    assert [each for each in names if not re.fullmatch("[a-z0-9]([-a-z0-9]*[a-z0-9])?", each)] == []


def test_the_configuration_is_mounted_as_a_file_and_a_change_of_it_starts_a_revision(
    app: dict[tuple[str, str], dict[str, Any]], container: dict[str, Any]
) -> None:
    (volume,) = app[ids.CONTAINER_APP, "orders"]["template"]["volumes"]
    (file,) = volume["secrets"]
    assert (volume["storageType"], file["path"]) == ("Secret", "dstream.hcl")
    assert container["volumeMounts"] == [{"volumeName": volume["name"], "mountPath": "/dstream"}]
    secret = app[ids.CONTAINER_APP, "orders"]["configuration"]["secrets"][0]
    assert secret["name"] == file["secretRef"]
    assert secret["value"] == "task {}"
    digest = container["env"][0]["value"]
    assert len(digest) == 32, "short enough to read, too long to find two configurations with the same"
    changed = declared(app_program(msgspec.structs.replace(APP, files={"dstream.hcl": "task { }"})))
    assert changed[ids.CONTAINER_APP, "orders"]["template"] != app[ids.CONTAINER_APP, "orders"]["template"]


def test_probes_ask_the_endpoints_of_the_metrics_port(container: dict[str, Any]) -> None:
    asked = {each["type"]: (each["httpGet"]["path"], each["httpGet"]["port"]) for each in container["probes"]}
    assert asked == {
        "Startup": ("/healthz", 9100),
        "Liveness": ("/healthz", 9100),
        "Readiness": ("/readyz", 9100),
    }
    assert all(1 <= each["failureThreshold"] <= 10 for each in container["probes"]), "Azure's range"


def test_roles_are_assigned_to_the_identity_on_single_resources(app: dict[tuple[str, str], dict[str, Any]]) -> None:
    state = app[ids.ROLE_ASSIGNMENT, "orders/Storage Blob Data Contributor"]
    scope = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stretail/blobServices/default/containers/dstream"
    assert state["scope"] == scope
    assert state["principalId"] == "principal of id-orders"
    assert state["principalType"] == "ServicePrincipal"
    assert state["roleDefinitionId"].endswith("/roleDefinitions/ba92f5b4-2d11-453d-a403-e96b0029c9fe")
    assert app[ids.ROLE_ASSIGNMENT, "orders/AcrPull"]["scope"] == REGISTRY


def test_the_name_of_a_role_assignment_depends_on_what_it_grants_to_whom() -> None:
    names = {
        assignment_name(*each)
        for each in (
            ("/scope", "/id", "AcrPull"),
            ("/other", "/id", "AcrPull"),
            ("/scope", "/other", "AcrPull"),
            ("/scope", "/id", "Key Vault Secrets User"),
        )
    }
    assert len(names) == 4
    assert assignment_name("/SCOPE", "/ID", "AcrPull") in names


def test_the_document_of_a_plan_has_the_configuration_only_as_a_digest() -> None:
    assert "task {}" not in json.dumps(as_document(APP))
    assert as_document(APP) != as_document(msgspec.structs.replace(APP, files={"dstream.hcl": "task { }"}))
