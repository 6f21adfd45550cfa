"""What a resource group, a namespace or a topic contains, whoever created it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from unittest.mock import patch

import pytest
from azure.core.exceptions import HttpResponseError
from dstream_servicebus.infrastructure.azure_manager import AzureManager
from dstream_servicebus.infrastructure.contents import contents_in_azure

from dstream.infra import Content, Step

T = TypeVar("T")

GROUP = "/subscriptions/s/resourceGroups/rg"
NAMESPACE = f"{GROUP}/providers/Microsoft.ServiceBus/namespaces/sb"
HELD = {"countDetails": {"activeMessageCount": 2, "deadLetterMessageCount": 1}}
LISTS = {
    f"{GROUP}/resources": [
        {"id": NAMESPACE, "name": "sb", "type": "Microsoft.ServiceBus/Namespaces"},
        {"id": f"{GROUP}/x", "name": "files", "type": "Microsoft.Storage/storageAccounts"},
        {"id": f"{GROUP}/pe", "name": "pe", "type": "Microsoft.Network/privateEndpoints"},
        {"id": f"{GROUP}/n1", "name": "PE.nic.4c0f", "type": "Microsoft.Network/networkInterfaces"},
        {"id": f"{GROUP}/n2", "name": "vm.nic.4c0f", "type": "Microsoft.Network/networkInterfaces"},
    ],
    f"{NAMESPACE}/queues": [
        {"id": f"{NAMESPACE}/queues/q", "name": "q", "properties": HELD},
        {"id": f"{NAMESPACE}/queues/r", "name": "r", "properties": {}},
    ],
    f"{NAMESPACE}/topics": [
        {"id": f"{NAMESPACE}/topics/t", "name": "t", "properties": {"countDetails": {"scheduledMessageCount": 0}}}
    ],
    f"{NAMESPACE}/topics/t/subscriptions": [
        {"id": f"{NAMESPACE}/topics/t/subscriptions/a", "name": "a", "properties": {"messageCount": 5}}
    ],
}


class Manager:
    def list(self, resource_id: str, version: str = "") -> Iterator[dict[str, Any]]:
        yield from LISTS[resource_id]


def step(kind: str, resource_id: str, **outputs: Any) -> Step:
    name = resource_id.rpartition("/")[2]
    return Step(f"urn:pulumi:dev::p::azure-native:{kind}::{name}", "delete", id=resource_id, outputs=outputs)


def run(question: Callable[[], T]) -> T:
    return question()


def test_a_group_contains_its_namespaces_their_entities_and_everything_else() -> None:
    group = step("resources:ResourceGroup", GROUP)
    with patch("dstream_servicebus.infrastructure.azure_manager.connected", return_value=Manager()):
        (found,) = contents_in_azure([group], run, {}).values()

    assert [(each.kind, each.name, each.holds) for each in found.items] == [
        ("namespace", "sb", 0),
        ("queue", "sb/q", 3),
        ("queue", "sb/r", None),  # Azure returned no counts
        ("topic", "sb/t", 0),
        ("subscription", "sb/t/a", 5),
        ("Microsoft.Storage/storageAccounts", "files", 0),
        ("Microsoft.Network/privateEndpoints", "pe", 0),  # and its network interface, which Azure deletes with it
        ("Microsoft.Network/networkInterfaces", "vm.nic.4c0f", 0),
    ]


def test_a_topic_is_listed_only_if_it_has_subscriptions_that_are_not_in_the_plan() -> None:
    topic = step("servicebus:Topic", f"{NAMESPACE}/topics/t", subscriptionCount=1)
    own = Step("urn:pulumi:dev::p::azure-native:servicebus:Subscription::t/a", "delete")
    with patch("dstream_servicebus.infrastructure.azure_manager.connected", return_value=Manager()) as connected:
        assert contents_in_azure([topic, own], run, {}) == {}
        assert not connected.called
        (found,) = contents_in_azure([topic], run, {}).values()
    assert found.items == (Content(f"{NAMESPACE}/topics/t/subscriptions/a", "subscription", "a", 5),)


@pytest.mark.parametrize("failure", [HttpResponseError("403 Forbidden"), RuntimeError("403 Forbidden")])
def test_contents_that_cannot_be_listed_are_unknown(failure: Exception) -> None:
    namespace = step("servicebus:Namespace", NAMESPACE)
    with patch("dstream_servicebus.infrastructure.azure_manager.connected", side_effect=failure):
        (found,) = contents_in_azure([namespace], run, {}).values()
    assert found.unknown == "403 Forbidden"
    manager = Manager()
    with (
        patch("dstream_servicebus.infrastructure.azure_manager.connected", return_value=manager),
        patch.object(manager, "list", side_effect=[[{"name": "no id"}]]),
    ):
        (found,) = contents_in_azure([namespace], run, {}).values()
    assert found.unknown.startswith("unexpected response")


def test_a_list_continues_on_the_next_page() -> None:
    pages = {
        "https://arm/x?api-version=1": {"value": [1], "nextLink": "https://arm/x?page=2"},
        "https://arm/x?page=2": {"value": [2]},
    }
    with patch.object(AzureManager, "_send", lambda self, method, url: pages[url]):
        assert list(AzureManager("https://arm", "token").list("/x", "1")) == [1, 2]
