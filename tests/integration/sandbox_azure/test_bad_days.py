"""Azure faults, killed engines and a killed sandbox."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.core.exceptions import ClientAuthenticationError, ResourceNotFoundError
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from tests.integration.engine import Resource, Stack
from tests.integration.sandbox_azure.azure_process import AzureProcess
from tests.integration.sandbox_azure.calls import Calls, Refused
from tests.running import wait_until

_HERE = {"resource_group_name": "sandbox", "namespace_name": "sandbox"}
_DEADLINE_S = 60.0


def _queue(name: str) -> Resource:
    return Resource("servicebus.Queue", "queue", {**_HERE, "queue_name": name})


def _exists(azure: AzureProcess, name: str) -> bool:
    with azure.administration() as client:
        try:
            client.get_queue(name)
        except ResourceNotFoundError:
            return False
    return True


def test_a_requested_refusal_has_azures_wording_and_occurs_once(azure: AzureProcess, stack: Stack) -> None:
    azure.control("faults", {"kind": "azure", "entity": "refused-*", "code": "QuotaExceeded", "times": 1})
    stack.resources = [_queue("refused-once")]
    assert 'error: Status=403 Code="QuotaExceeded" Message="' in stack.refused()
    assert not _exists(azure, "refused-once")
    assert stack.up() == {"queue": "create"}
    assert azure.creates("/queues/refused-once") == 1


def test_azure_completes_a_request_that_a_cancelled_engine_has_aborted(azure: AzureProcess, calls: Calls) -> None:
    azure.control("faults", {"kind": "azure", "entity": "aborted", "seconds": 1, "times": 1})
    inputs = {"resourceGroupName": "sandbox", "namespaceName": "sandbox", "queueName": "aborted"}
    with ThreadPoolExecutor(1) as pool:
        creation = pool.submit(calls.create, "servicebus:Queue", inputs)
        wait_until(lambda: not azure.control("faults")["faults"], "the creation to start")
        calls.cancel()
        with pytest.raises(Refused, match=r"Put .*/queues/aborted.*: context canceled"):
            creation.result()
    assert not _exists(azure, "aborted")
    wait_until(lambda: _exists(azure, "aborted"), "Azure to complete the creation")


@pytest.mark.parametrize(("when", "made"), [("before", False), ("after", True)])
def test_an_engine_can_be_killed_before_and_after_a_create(
    azure: AzureProcess, stack: Stack, when: str, made: bool
) -> None:
    name = f"killed-{when}"
    asked = azure.control("counters")["azure_requests"].get("create", {}).get("azure-native:servicebus:Queue", 0)
    azure.control("faults", {"kind": "azure", "entity": name, "when": when, "seconds": 300, "times": 1})
    stack.resources = [_queue(name)]
    engine = stack.start()
    try:
        wait_until(
            lambda: (
                azure.control("counters")["azure_requests"].get("create", {}).get("azure-native:servicebus:Queue", 0)
                > asked
                and azure.creates(f"/queues/{name}") == made
            ),
            "the engine to request the queue",
        )
    finally:
        os.killpg(engine.pid, signal.SIGKILL)
        engine.communicate(timeout=_DEADLINE_S)
    pending = stack.deployment.get("pending_operations") or []
    assert [each["type"] for each in pending] == ["creating"]
    assert _exists(azure, name) == made
    assert azure.creates(f"/queues/{name}") == made


def test_creating_an_existing_queue_is_refused(azure: AzureProcess, stack: Stack) -> None:
    with azure.administration() as client:
        client.create_queue("made-before")
    stack.resources = [_queue("made-before")]
    said = stack.refused()
    assert "error: cannot create already existing resource '/subscriptions/" in said
    assert "/namespaces/sandbox/queues/made-before'" in said


def test_resources_and_connection_strings_survive_a_kill(
    own_azure: AzureProcess, stack_of: Callable[[AzureProcess], Stack]
) -> None:
    stack = stack_of(own_azure)
    inside = {"resource_group_name": "$group.name", "namespace_name": "$namespace.name"}
    stack.resources = [
        Resource("resources.ResourceGroup", "group", {"resource_group_name": "durable", "location": "westeurope"}),
        Resource(
            "servicebus.Namespace",
            "namespace",
            {"resource_group_name": "$group.name", "namespace_name": "durable-one", "sku": {"name": "Premium"}},
        ),
        Resource("servicebus.Queue", "queue", {**inside, "queue_name": "orders"}),
        Resource(
            "servicebus.NamespaceAuthorizationRule",
            "app",
            {**inside, "authorization_rule_name": "app", "rights": ["Send"]},
        ),
    ]
    stack.keys_of = {**inside, "authorization_rule_name": "$app.name"}
    stack.up()
    own_azure.end(signal.SIGKILL)
    own_azure.start()
    assert stack.drift() == {}
    assert stack.plan() == {}
    with (
        ServiceBusClient.from_connection_string(stack.outputs["connection_string"], retry_total=0) as client,
        client.get_queue_sender("orders") as sender,
    ):
        sender.send_messages(ServiceBusMessage("still here"))
    stack.destroy()


def test_a_delayed_delete_takes_effect_once(azure: AzureProcess, calls: Calls) -> None:
    azure.control("faults", {"kind": "azure", "operation": "delete", "entity": "late", "seconds": 0.3, "times": 1})
    resource_id, _ = calls.create(
        "Queue", {"resourceGroupName": "sandbox", "namespaceName": "sandbox", "queueName": "late"}
    )
    begun = time.monotonic()
    calls.delete("Queue", resource_id)
    assert time.monotonic() - begun >= 0.3
    calls.delete("Queue", resource_id)  # already deleted: nothing happens
    assert calls.read("Queue", resource_id) is None


def test_key_based_access_can_be_disabled_and_enabled(own_azure: AzureProcess) -> None:
    calls = Calls(own_azure.ready["azure_port"])
    names = {"resourceGroupName": "sandbox", "namespaceName": "keyless"}
    namespace = {**names, "location": "westeurope"}
    resource_id, outputs = calls.create("Namespace", namespace)
    policy = {**names, "authorizationRuleName": "RootManageSharedAccessKey"}
    key = calls.invoke("servicebus:listNamespaceKeys", **policy)["primaryKey"]
    with own_azure.administration(outputs["serviceBusEndpoint"], key) as client:
        client.create_queue("orders")
        calls.update("Namespace", resource_id, {**namespace, "disableLocalAuth": True})
        with pytest.raises(ClientAuthenticationError):
            client.get_queue("orders")
        calls.update("Namespace", resource_id, namespace)
        assert client.get_queue("orders").name == "orders"
    with pytest.raises(Refused, match="ResourceGroupNotFound"):
        calls.update(
            "Queue", f"{resource_id}/queues/orders", {**names, "resourceGroupName": "no", "queueName": "orders"}
        )
    calls.close()
