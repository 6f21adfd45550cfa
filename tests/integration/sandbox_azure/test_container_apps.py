"""Container apps and what they need, over gRPC as the engine creates them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.sandbox_azure.azure_process import AzureProcess
from tests.integration.sandbox_azure.calls import Calls, Refused

_PLACE = {"resourceGroupName": "sandbox", "location": "westeurope"}
_PROVIDERS = "/subscriptions/00000000-d57e-4a00-8000-5a4db0c00001/resourceGroups/sandbox/providers"
_ENVIRONMENT = f"{_PROVIDERS}/Microsoft.App/managedEnvironments/cae-one"


@pytest.fixture(scope="module", autouse=True)
def _environment(azure: AzureProcess) -> Iterator[None]:
    calls = Calls(azure.ready["azure_port"])
    calls.create("app:ManagedEnvironment", {**_PLACE, "environmentName": "cae-one"})
    yield
    calls.delete("app:ManagedEnvironment", _ENVIRONMENT)
    calls.close()


def _app(name: str, **changed: Any) -> dict[str, Any]:
    container = {"name": "app", "image": "a:1", "resources": {"cpu": 0.5, "memory": "1Gi"}, **changed}
    return {
        **_PLACE,
        "containerAppName": name,
        "managedEnvironmentId": _ENVIRONMENT,
        "configuration": {"secrets": [{"name": "file", "value": "text"}]},
        "template": {"containers": [container]},
    }


def test_an_app_is_returned_without_the_values_of_its_secrets(calls: Calls) -> None:
    resource_id, outputs = calls.create("app:ContainerApp", _app("kept"))
    assert outputs["configuration"] == {"secrets": [{"name": "file"}]}
    inputs, outputs = calls.read("app:ContainerApp", resource_id, _app("kept"))
    assert inputs == _app("kept")
    assert outputs["provisioningState"] == "Succeeded"
    with pytest.raises(Refused, match="cannot be deleted because it still contains 1 Container Apps"):
        calls.delete("app:ManagedEnvironment", _ENVIRONMENT)
    calls.delete("app:ContainerApp", resource_id)
    assert calls.read("app:ContainerApp", resource_id) is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"resources": {"cpu": 0.5, "memory": "4Gi"}}, "total requested CPU and memory resources"),
        ({"resources": {"cpu": 5, "memory": "10Gi"}}, "total requested CPU and memory resources"),
        ({"env": [{"name": "A", "secretRef": "other"}]}, "SecretRef 'other' defined for container 'app' not found"),
    ],
)
def test_an_app_that_could_not_start_is_refused(changed: dict[str, Any], message: str, calls: Calls) -> None:
    with pytest.raises(Refused, match=message):
        calls.create("app:ContainerApp", _app("refused", **changed))


def test_an_app_needs_an_environment(calls: Calls) -> None:
    with pytest.raises(Refused, match="InvalidResourceReference"):
        calls.create("app:ContainerApp", {**_app("lost"), "managedEnvironmentId": f"{_ENVIRONMENT}-2"})


def test_a_blob_container_is_deleted_with_its_storage_account(calls: Calls) -> None:
    container = {"resourceGroupName": "sandbox", "accountName": "stone", "containerName": "state"}
    with pytest.raises(Refused, match="ParentResourceNotFound"):
        calls.create("storage:BlobContainer", container)
    account = {**_PLACE, "accountName": "stone", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    account_id, _ = calls.create("storage:StorageAccount", account)
    container_id, _ = calls.create("storage:BlobContainer", container)
    calls.delete("storage:StorageAccount", account_id)
    assert calls.read("storage:BlobContainer", container_id) is None
