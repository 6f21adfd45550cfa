"""What Azure refuses, with Azure's messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.integration.engine import Resource, Stack
from tests.integration.sandbox_azure.azure_process import AzureProcess
from tests.integration.sandbox_azure.calls import Calls, Refused

_GROUP = {"resourceGroupName": "refusals"}
_IN_BASIC = {**_GROUP, "namespaceName": "basic-refusals"}
_IN_PREMIUM = {**_GROUP, "namespaceName": "premium-refusals"}
_HERE = {"resourceGroupName": "sandbox", "namespaceName": "sandbox"}
_SUBSCRIPTION = "/subscriptions/00000000-d57e-4a00-8000-5a4db0c00001"


@pytest.fixture(scope="module", autouse=True)
def _tiers(azure: AzureProcess) -> Iterator[None]:
    calls = Calls(azure.ready["azure_port"])
    calls.create("resources:ResourceGroup", {**_GROUP, "location": "westeurope"})
    for names, tier in ((_IN_BASIC, "Basic"), (_IN_PREMIUM, "Premium")):
        calls.create("Namespace", {**names, "location": "westeurope", "sku": {"name": tier}})
    yield
    calls.delete("resources:ResourceGroup", f"{_SUBSCRIPTION}/resourceGroups/refusals")
    assert (
        calls.read(
            "Namespace",
            f"{_SUBSCRIPTION}/resourceGroups/refusals/providers/Microsoft.ServiceBus/namespaces/basic-refusals",
        )
        is None
    )
    calls.close()


_NAMESPACE = {"location": "westeurope", "sku": {"name": "Standard"}}


@pytest.mark.parametrize(
    ("kind", "inputs", "words"),
    [
        ("Namespace", {**_NAMESPACE, "resourceGroupName": "nowhere", "namespaceName": "lonely-one"},
         "Status=404 Code=\"ResourceGroupNotFound\" Message=\"Resource group 'nowhere' could not be found.\""),
        ("Namespace", {**_NAMESPACE, **_GROUP, "namespaceName": "-begins-wrong"},
         'Status=400 Code="BadRequest" Message="The specified service namespace is invalid."'),
        ("Namespace", {**_NAMESPACE, **_GROUP, "namespaceName": "ends-with-sb-sb"}, "namespace is invalid"),
        ("Namespace", {**_NAMESPACE, **_GROUP, "namespaceName": "sandbox"}, 'Code="NamespaceUnavailable"'),
        ("Namespace", {**_NAMESPACE, "resourceGroupName": "Sandbox", "namespaceName": "SANDBOX"},
         f"cannot create already existing resource '{_SUBSCRIPTION}/resourceGroups/Sandbox/providers/Microsoft.ServiceBus/namespaces/SANDBOX'"),
        ("resources:ResourceGroup", {"resourceGroupName": "wrong.", "location": "westeurope"}, 'Code="InvalidResourceGroup"'),
        ("resources:ResourceGroup", {"resourceGroupName": "SANDBOX", "location": "westeurope"}, "cannot create already existing resource"),
        ("Queue", {**_GROUP, "namespaceName": "gone-away", "queueName": "q"},
         "Status=404 Code=\"ParentResourceNotFound\" Message=\"Failed to perform 'write' on resource(s) of type 'namespaces/queues', because the"
         f" parent resource '{_SUBSCRIPTION}/resourceGroups/refusals/providers/Microsoft.ServiceBus/namespaces/gone-away' could not be found.\""),
        ("Subscription", {**_HERE, "topicName": "no-topic", "subscriptionName": "s"}, "topics/no-topic' could not be found"),
        ("Rule", {**_HERE, "topicName": "no-topic", "subscriptionName": "s", "ruleName": "r"}, "subscriptions/s' could not be found"),
        ("QueueAuthorizationRule", {**_HERE, "queueName": "no-queue", "authorizationRuleName": "r", "rights": ["Send"]},
         "queues/no-queue' could not be found"),
        ("Queue", {**_HERE, "queueName": "q", "lockDuration": "PT6M"}, 'Status=400 Code="MessagingGatewayBadRequest" Message="SubCode=40000. '),
        ("Queue", {**_HERE, "queueName": "q", "maxDeliveryCount": 0}, "MaxDeliveryCount is out of range"),
        ("Queue", {**_HERE, "queueName": "q", "maxMessageSizeInKilobytes": 2048}, "https://aka.ms/sbResourceMgrExceptions"),
        ("Queue", {**_HERE, "queueName": "q", "forwardTo": "no-such-queue"}, "no-such-queue"),
        ("Queue", {**_IN_BASIC, "queueName": "q", "requiresSession": True},
         "The property 'RequiresSession' cannot be set when creating a Queue because the namespace 'basic-refusals' is using 'Basic' tier."),
        ("Queue", {**_IN_BASIC, "queueName": "q", "requiresDuplicateDetection": True}, "using 'Basic' tier"),
        ("Queue", {**_IN_BASIC, "queueName": "q", "autoDeleteOnIdle": "PT10M"}, "using 'Basic' tier"),
        ("Queue", {**_IN_BASIC, "queueName": "q", "defaultMessageTimeToLive": "P15D"}, "must be between 00:00:01 and 14.00:00:00"),
        ("Topic", {**_IN_BASIC, "topicName": "t"},
         "Can not operate on type Topic because the namespace 'basic-refusals' is using 'Basic' tier."),
        ("Queue", {**_IN_PREMIUM, "queueName": "q", "enablePartitioning": True}, "Premium"),
        ("NamespaceAuthorizationRule", {**_HERE, "authorizationRuleName": "r", "rights": ["Manage", "Send"]},
         "Manage permission should also include Send and Listen."),
    ],
)  # fmt: skip
def test_create_is_refused_with_azures_message(
    calls: Calls, kind: str, inputs: Mapping[str, object], words: str
) -> None:
    with pytest.raises(Refused) as refused:
        calls.create(kind, inputs)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "inputs", "reason"),
    [
        ("Queue", {"queueName": "q", "namespaceName": "sandbox"}, "missing required property 'resourceGroupName'"),
        ("Queue", {**_HERE, "queueName": "q", "lockDuration": 5}, "'lockDuration' should be of type 'string' but got a number"),
        ("Queue", {**_HERE, "queueName": "q", "maxDeliveryCount": 1.5}, "'maxDeliveryCount' must be an integer but got 1.500000"),
        ("Queue", {**_HERE, "queueName": "q" * 261}, "'queueName' is too long (261): at most 260 characters allowed"),
        ("Subscription", {**_HERE, "topicName": "t", "subscriptionName": "s" * 51}, "'subscriptionName' is too long (51): at most 50 characters allowed"),
        ("Namespace", {"resourceGroupName": "sandbox", "namespaceName": "short"}, "'namespaceName' is too short (5): at least 6 characters required"),
        ("Namespace", {**_HERE, "sku": {}}, "missing required property 'sku.name'"),
        ("Namespace", {**_HERE, "geoDataReplication": {"maxReplicationLagDurationInSeconds": 5}}, "the sandbox does not emulate 'geoDataReplication' of azure-native:servicebus:Namespace"),
        ("resources:ResourceGroup", {"resourceGroupName": "new"},
         "missing required property 'location'. Either set it explicitly or configure it with 'pulumi config set azure-native:location <value>'."),
        ("QueueAuthorizationRule", {**_HERE, "queueName": "q"}, "missing required property 'rights'"),
    ],
)  # fmt: skip
def test_check_refuses_what_azure_native_refuses(
    calls: Calls, kind: str, inputs: Mapping[str, Any], reason: str
) -> None:
    assert calls.check(kind, inputs)[1] == [reason]


def test_the_location_defaults_to_that_of_the_resource_group(calls: Calls) -> None:
    assert calls.check("Namespace", _HERE)[0]["location"] == "westeurope"
    assert calls.check("Namespace", _HERE, {"location": "northeurope"})[0]["location"] == "northeurope"
    calls.configure(location="uksouth")
    assert calls.check("Namespace", _HERE)[0]["location"] == "uksouth"


def test_premium_cannot_be_downgraded(calls: Calls) -> None:
    path = f"{_SUBSCRIPTION}/resourceGroups/refusals/providers/Microsoft.ServiceBus/namespaces"
    with pytest.raises(Refused, match="Updating the SKU of a namespace from 'Premium' to 'Standard' is not supported"):
        calls.update("Namespace", f"{path}/premium-refusals", {**_IN_PREMIUM, **_NAMESPACE})
    partitioned = {**_NAMESPACE, "sku": {"name": "Premium"}, "premiumMessagingPartitions": 2}
    with pytest.raises(Refused, match="partitions of an existing namespace cannot be changed"):
        calls.update("Namespace", f"{path}/premium-refusals", {**_IN_PREMIUM, **partitioned})


def test_sessions_of_a_subscription_cannot_be_changed(calls: Calls) -> None:
    topic = {**_HERE, "topicName": "kept-sessions"}
    calls.create("Topic", topic)
    resource_id, _ = calls.create("Subscription", {**topic, "subscriptionName": "s"})
    with pytest.raises(Refused, match="RequiresSession property of an existing Subscription cannot be changed"):
        calls.update("Subscription", resource_id, {**topic, "subscriptionName": "s", "requiresSession": True})


def test_a_role_is_assigned_once_and_never_changed(calls: Calls) -> None:
    queue, _ = calls.create("Queue", {**_HERE, "queueName": "with-roles"})
    guid = "11111111-2222-3333-4444-555555555555"
    role = {
        "scope": queue,
        "roleAssignmentName": guid,
        "principalId": guid,
        "principalType": "ServicePrincipal",
        "roleDefinitionId": "/providers/Microsoft.Authorization/roleDefinitions/sender",
    }
    kind = "authorization:RoleAssignment"
    with pytest.raises(Refused, match="must be a GUID"):
        calls.create(kind, {**role, "roleAssignmentName": "mine"})
    with pytest.raises(Refused, match=r'Status=404 Code="ResourceNotFound".*namespaces/queues/gone'):
        calls.create(kind, {**role, "scope": queue.replace("with-roles", "gone")})
    made, outputs = calls.create(kind, role)
    assert made == f"{queue}/providers/Microsoft.Authorization/roleAssignments/{guid}"
    assert outputs["scope"] == queue
    with pytest.raises(Refused, match="cannot create already existing resource"):
        calls.create(kind, role)
    with pytest.raises(Refused, match=r'Status=409 Code="RoleAssignmentExists".*11111111222233334444555555555555'):
        calls.create(kind, {**role, "roleAssignmentName": guid.replace("1", "2")})
    with pytest.raises(Refused, match="RoleAssignmentUpdateNotPermitted"):
        calls.update(kind, made, {**role, "principalId": guid.replace("1", "3")})
    calls.delete("Queue", queue)
    assert calls.read(kind, made) is None


def test_an_entity_has_at_most_twelve_authorization_rules(calls: Calls) -> None:
    queue = {**_HERE, "queueName": "many-rules"}
    calls.create("Queue", queue)
    for number in range(12):
        calls.create("QueueAuthorizationRule", {**queue, "authorizationRuleName": f"r{number}", "rights": ["Send"]})
    with pytest.raises(Refused, match="MessagingGatewayBadRequest"):
        calls.create("QueueAuthorizationRule", {**queue, "authorizationRuleName": "r12", "rights": ["Send"]})


def test_creating_a_default_rule_changes_it_and_deleting_it_is_final(calls: Calls) -> None:
    subscription = {**_HERE, "topicName": "default-rules", "subscriptionName": "s"}
    calls.create("Topic", {**_HERE, "topicName": "default-rules"})
    calls.create("Subscription", subscription)
    sql = {"filterType": "SqlFilter", "sqlFilter": {"sqlExpression": "a = 1"}}
    resource_id, outputs = calls.create("DefaultRule", {**subscription, **sql})
    assert resource_id.endswith("/rules/$Default")
    assert outputs["sqlFilter"]["sqlExpression"] == "a = 1"
    _, outputs = calls.create("DefaultRule", subscription)
    assert outputs["sqlFilter"]["sqlExpression"] == "1=1"
    calls.delete("DefaultRule", resource_id)
    with pytest.raises(Refused, match="even though its parent subscription still exists"):
        calls.read("DefaultRule", resource_id)
    calls.delete("Subscription", resource_id.rpartition("/rules/")[0])
    assert calls.read("DefaultRule", resource_id) is None


def test_the_initial_namespace_and_its_group_cannot_be_deleted(calls: Calls) -> None:
    group = f"{_SUBSCRIPTION}/resourceGroups/sandbox"
    with pytest.raises(Refused, match='Status=409 Code="ScopeLocked"'):
        calls.delete("Namespace", f"{group}/providers/Microsoft.ServiceBus/namespaces/sandbox")
    with pytest.raises(Refused, match='Status=409 Code="ScopeLocked"'):
        calls.delete("resources:ResourceGroup", group)


def test_types_and_functions_that_are_not_emulated_are_named(calls: Calls) -> None:
    with pytest.raises(Refused, match="does not emulate resources of type azure-native:storage:Queue"):
        calls.create("storage:Queue", {})
    with pytest.raises(Refused, match="does not emulate the function azure-native:storage:listStorageAccountKeys"):
        calls.invoke("storage:listStorageAccountKeys")


def test_functions_return_resources_and_report_missing_ones(calls: Calls) -> None:
    calls.create("Queue", {**_HERE, "queueName": "looked-up", "maxDeliveryCount": 3})
    found = calls.invoke("servicebus:getQueue", **_HERE, queueName="looked-up")
    assert (found["maxDeliveryCount"], found["lockDuration"], found["messageCount"]) == (3, "PT1M", 0)
    assert calls.invoke("resources:getResourceGroup", resourceGroupName="sandbox")["location"] == "westeurope"
    with pytest.raises(Refused, match=r'^request failed /subscriptions/.*/queues/nobody: Status=404 Code="'):
        calls.invoke("servicebus:getQueue", **_HERE, queueName="nobody")
    calls.configure(subscriptionId="11111111-2222-3333-4444-555555555555")
    assert calls.invoke("authorization:getClientConfig")["subscriptionId"].startswith("11111111")
    assert calls.create("Queue", {**_HERE, "queueName": "of-another"})[0].startswith("/subscriptions/11111111-2222")


def test_the_engine_shows_azures_message(stack: Stack) -> None:
    settings = {
        "resource_group_name": "sandbox",
        "namespace_name": "sandbox",
        "queue_name": "q",
        "lock_duration": "PT6M",
    }
    stack.resources = [Resource("servicebus.Queue", "queue", settings)]
    assert 'error: Status=400 Code="MessagingGatewayBadRequest" Message="SubCode=40000. ' in stack.refused()


def test_the_rule_set_of_a_namespace_always_exists_and_shares_its_public_network_access(calls: Calls) -> None:
    place = {"resourceGroupName": "sandbox", "namespaceName": "sb-rule-set"}
    namespace = {**place, "location": "westeurope", "sku": {"name": "Standard"}, "publicNetworkAccess": "Disabled"}
    namespace_id, _ = calls.create("servicebus:Namespace", namespace)
    kind, rules = "servicebus:NamespaceNetworkRuleSet", {"ipRules": [{"action": "Allow", "ipMask": "203.0.113.7"}]}

    rule_set, outputs = calls.create(kind, {**place, **rules, "defaultAction": "Deny"})
    assert rule_set == f"{namespace_id}/networkRuleSets/default"
    assert (outputs["publicNetworkAccess"], outputs["ipRules"]) == ("Disabled", rules["ipRules"])
    calls.update(kind, rule_set, {**place, **rules, "publicNetworkAccess": "Enabled"})
    assert calls.invoke("servicebus:getNamespace", **place)["publicNetworkAccess"] == "Enabled"

    with pytest.raises(Refused, match="InvalidNetworkRuleSetUpdate"):
        calls.update(kind, rule_set, {**place, "defaultAction": "Deny"})
    with pytest.raises(Refused, match="'Standard' tier"):
        calls.update(kind, rule_set, {**place, "trustedServiceAccessEnabled": True})

    calls.delete(kind, rule_set)
    found = calls.invoke("servicebus:getNamespaceNetworkRuleSet", **place)
    assert (found["defaultAction"], found["ipRules"], found["publicNetworkAccess"]) == ("Allow", [], "Enabled")


_NETWORK = "/subscriptions/s/resourceGroups/sandbox/providers/Microsoft.Network"
_SUBNET = f"{_NETWORK}/virtualNetworks/sandbox/subnets/default"


def test_a_private_endpoint_needs_an_existing_subnet_and_a_premium_namespace(calls: Calls) -> None:
    names = {"Standard": "sb-endpoint-one", "Premium": "sb-endpoint-two"}
    namespaces = {
        tier: calls.create(
            "servicebus:Namespace",
            {"resourceGroupName": "sandbox", "namespaceName": name, "location": "westeurope", "sku": {"name": tier}},
        )[0]
        for tier, name in names.items()
    }
    place = {"resourceGroupName": "sandbox", "privateEndpointName": "pe-refused"}
    kind = "network:PrivateEndpoint"

    def endpoint(namespace: str, subnet: str = _SUBNET, group: str = "namespace") -> dict[str, object]:
        connection = {"name": "pe", "groupIds": [group], "privateLinkServiceId": namespace}
        where = {"location": "westeurope", "subnet": {"id": subnet}}
        return {**place, **where, "privateLinkServiceConnections": [connection]}

    for inputs, refusal in (
        (endpoint(namespaces["Premium"], f"{_SUBNET}s"), "InvalidResourceReference.*subnets/defaults"),
        (endpoint(f"{namespaces['Premium']}s"), "InvalidResourceReference.*sb-endpoint-twos"),
        (endpoint(namespaces["Premium"], group="queue"), "namespace"),
        (endpoint(namespaces["Standard"]), "'Standard' tier"),
    ):
        with pytest.raises(Refused, match=refusal):
            calls.create(kind, inputs)
    endpoint_id, _ = calls.create(kind, endpoint(namespaces["Premium"]))
    with pytest.raises(Refused, match="already existing"):
        calls.create(kind, endpoint(namespaces["Premium"]))

    zone = [{"name": "z", "privateDnsZoneId": f"{_NETWORK}/privateDnsZones/privatelink.servicebus.windows.de"}]
    group = {**place, "privateDnsZoneGroupName": "default"}
    with pytest.raises(Refused, match=r"InvalidResourceReference.*windows\.de"):
        calls.create("network:PrivateDnsZoneGroup", {**group, "privateDnsZoneConfigs": zone})
    calls.delete(kind, endpoint_id)
    with pytest.raises(Refused, match="ParentResourceNotFound"):
        calls.create("network:PrivateDnsZoneGroup", {**group, "privateDnsZoneConfigs": []})


def test_virtual_network_rules_need_an_existing_subnet_and_premium(calls: Calls) -> None:
    kind = "servicebus:NamespaceNetworkRuleSet"
    for tier, name, subnet, refusal in (
        ("Standard", "sb-rules-one", _SUBNET, "'Standard' tier"),
        ("Premium", "sb-rules-two", f"{_SUBNET}s", "InvalidResourceReference"),
    ):
        place = {"resourceGroupName": "sandbox", "namespaceName": name}
        calls.create("servicebus:Namespace", {**place, "location": "westeurope", "sku": {"name": tier}})
        rules = {"defaultAction": "Deny", "virtualNetworkRules": [{"subnet": {"id": subnet}}]}
        with pytest.raises(Refused, match=refusal):
            calls.create(kind, {**place, **rules})
