"""Read reports what others change in entities, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.exceptions import ServiceBusError
from azure.servicebus.management import (
    CorrelationRuleFilter,
    EntityStatus,
    ServiceBusAdministrationClient,
    SqlRuleAction,
    TrueRuleFilter,
)

from tests.integration.sandbox_azure.azure_process import AzureProcess
from tests.integration.sandbox_azure.calls import Calls

_HERE = {"resourceGroupName": "sandbox", "namespaceName": "sandbox"}


@pytest.fixture(scope="module")
def admin(azure: AzureProcess) -> Iterator[ServiceBusAdministrationClient]:
    with azure.administration() as client:
        yield client


def test_a_changed_topic(calls: Calls, admin: ServiceBusAdministrationClient) -> None:
    inputs = {**_HERE, "topicName": "changed-topic", "defaultMessageTimeToLive": "P1D"}
    resource_id, _ = calls.create("Topic", inputs)
    assert calls.read("Topic", resource_id, inputs)[0] == inputs
    properties = admin.get_topic("changed-topic")
    properties.status = EntityStatus.SEND_DISABLED
    admin.update_topic(properties)
    assert calls.read("Topic", resource_id, inputs)[0] == {**inputs, "status": "SendDisabled"}
    calls.update("Topic", resource_id, inputs)
    assert admin.get_topic("changed-topic").status == EntityStatus.ACTIVE


def test_a_changed_subscription_and_its_messages(
    azure: AzureProcess, calls: Calls, admin: ServiceBusAdministrationClient
) -> None:
    inputs = {**_HERE, "topicName": "counted", "subscriptionName": "audit"}
    calls.create("Topic", {**_HERE, "topicName": "counted"})
    resource_id, outputs = calls.create("Subscription", inputs)
    assert outputs["messageCount"] == 0
    assert [rule.name for rule in admin.list_rules("counted", "audit")] == ["$Default"]
    with ServiceBusClient.from_connection_string(azure.connection_string, retry_total=0) as client:
        with client.get_topic_sender("counted") as sender:
            sender.send_messages([ServiceBusMessage("a"), ServiceBusMessage("b")])
        with client.get_subscription_receiver("counted", "audit") as receiver:
            receiver.dead_letter_message(receiver.receive_messages(1, max_wait_time=10)[0])
    properties = admin.get_subscription("counted", "audit")
    properties.max_delivery_count = 3
    admin.update_subscription("counted", properties)
    read, outputs = calls.read("Subscription", resource_id, inputs)
    assert read == {**inputs, "maxDeliveryCount": 3}
    assert outputs["messageCount"] == 2
    assert (outputs["countDetails"]["activeMessageCount"], outputs["countDetails"]["deadLetterMessageCount"]) == (1, 1)
    _, of_topic = calls.read(
        "Topic", resource_id.partition("/subscriptions/audit")[0], {**_HERE, "topicName": "counted"}
    )
    assert (of_topic["subscriptionCount"], "messageCount" in of_topic) == (1, False)
    assert of_topic["sizeInBytes"] > 0


def test_changed_rules(calls: Calls, admin: ServiceBusAdministrationClient) -> None:
    subscription = {**_HERE, "topicName": "changed-rules", "subscriptionName": "audit"}
    inputs = {**subscription, "ruleName": "paid", "filterType": "SqlFilter", "sqlFilter": {"sqlExpression": "paid = 1"}}
    calls.create("Topic", {**_HERE, "topicName": "changed-rules"})
    calls.create("Subscription", subscription)
    resource_id, _ = calls.create("Rule", inputs)
    assert calls.read("Rule", resource_id, inputs)[0] == inputs
    rule = admin.get_rule("changed-rules", "audit", "paid")
    rule.filter = CorrelationRuleFilter(label="paid", properties={"region": "eu"})
    rule.action = SqlRuleAction("SET a = 1")
    admin.update_rule("changed-rules", "audit", rule)
    read, _ = calls.read("Rule", resource_id, inputs)
    assert read["filterType"] == "CorrelationFilter"
    assert read["correlationFilter"] == {"label": "paid", "properties": {"region": "eu"}}
    assert read["action"] == {"sqlExpression": "SET a = 1"}
    assert "sqlFilter" not in read
    calls.update("Rule", resource_id, inputs)
    assert admin.get_rule("changed-rules", "audit", "paid").filter.sql_expression == "paid = 1"
    admin.delete_rule("changed-rules", "audit", "paid")
    assert calls.read("Rule", resource_id, inputs) is None


def test_a_deleted_default_rule_can_be_re_created(calls: Calls, admin: ServiceBusAdministrationClient) -> None:
    subscription = {**_HERE, "topicName": "no-default", "subscriptionName": "audit"}
    calls.create("Topic", {**_HERE, "topicName": "no-default"})
    calls.create("Subscription", subscription)
    admin.delete_rule("no-default", "audit", "$Default")
    calls.create("DefaultRule", subscription)
    assert isinstance(admin.get_rule("no-default", "audit", "$Default").filter, TrueRuleFilter)


def test_a_deleted_queue_is_not_found_and_update_re_creates_it(
    calls: Calls, admin: ServiceBusAdministrationClient
) -> None:
    inputs = {**_HERE, "queueName": "deleted", "maxDeliveryCount": 4}
    resource_id, _ = calls.create("Queue", inputs)
    admin.delete_queue("deleted")
    assert calls.read("Queue", resource_id, inputs) is None
    calls.delete("Queue", resource_id)
    calls.update("Queue", resource_id, inputs)
    assert admin.get_queue("deleted").max_delivery_count == 4


def test_the_key_of_a_policy_authorizes_its_queue_only(azure: AzureProcess, calls: Calls) -> None:
    for name in ("opened", "closed"):
        calls.create("Queue", {**_HERE, "queueName": name})
    queue = {**_HERE, "queueName": "opened"}
    policy_id, _ = calls.create("QueueAuthorizationRule", {**queue, "authorizationRuleName": "app", "rights": ["Send"]})
    keys = calls.invoke("servicebus:listQueueKeys", **queue, authorizationRuleName="app")
    assert keys["primaryConnectionString"].endswith("UseDevelopmentEmulator=true;EntityPath=opened;")
    _send(keys["secondaryConnectionString"], "opened")
    namespace = {**_HERE, "authorizationRuleName": "whole"}
    rule_id, _ = calls.create("NamespaceAuthorizationRule", {**namespace, "rights": ["Send"]})
    whole = calls.invoke("servicebus:listNamespaceKeys", **namespace)
    _send(whole["primaryConnectionString"], "closed")
    with pytest.raises(ServiceBusError):
        _send(keys["primaryConnectionString"].replace("=opened", "=closed"), "closed")
    calls.update("NamespaceAuthorizationRule", rule_id, {**namespace, "rights": ["Listen"]})
    assert calls.invoke("servicebus:listNamespaceKeys", **namespace) == whole
    assert calls.read("NamespaceAuthorizationRule", rule_id)[0]["rights"] == ["Listen"]
    calls.delete("NamespaceAuthorizationRule", rule_id)
    calls.delete("QueueAuthorizationRule", policy_id)
    assert calls.read("QueueAuthorizationRule", policy_id) is None


def _send(connection_string: str, queue: str) -> None:
    with (
        ServiceBusClient.from_connection_string(connection_string, retry_total=0) as client,
        client.get_queue_sender(queue) as sender,
    ):
        sender.send_messages(ServiceBusMessage("a"))


def test_a_namespace_is_upgraded_from_basic_to_standard_in_place(calls: Calls) -> None:
    names = {**_HERE, "namespaceName": "growing-up"}
    basic = {**names, "location": "westeurope", "sku": {"name": "Basic"}, "tags": {"team": "a"}}
    resource_id, before = calls.create("Namespace", basic)
    queue_id, queue = calls.create("Queue", {**names, "queueName": "orders"})
    assert queue["defaultMessageTimeToLive"] == "P14D"
    assert calls.read("Queue", queue_id)[0] == {**names, "queueName": "orders", "azureApiVersion": "2026-01-01"}
    after = calls.update("Namespace", resource_id, {**basic, "sku": {"name": "Standard"}})
    assert (after["sku"], after["tags"]) == ({"name": "Standard", "tier": "Standard"}, {"team": "a"})
    assert after["serviceBusEndpoint"] == before["serviceBusEndpoint"]
    calls.create("Topic", {**names, "topicName": "events"})
    calls.delete("Namespace", resource_id)
    assert calls.read("Queue", queue_id) is None
