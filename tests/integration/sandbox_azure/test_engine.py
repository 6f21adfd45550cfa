"""The Pulumi engine with the sandbox as Azure: the full lifecycle of resources of every type."""

from __future__ import annotations

from typing import Any

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from tests.integration.engine import Resource, Stack
from tests.integration.sandbox_azure.azure_process import AzureProcess
from tests.integration.sandbox_azure.calls import Calls

_HERE = {"resource_group_name": "sandbox", "namespace_name": "sandbox"}


def _queue(name: str, settings: dict[str, Any] | None = None, **options: Any) -> Resource:
    return Resource("servicebus.Queue", "queue", {**_HERE, "queue_name": name, **(settings or {})}, options)


def _everything(group: str, namespace: str) -> list[Resource]:
    inside = {"resource_group_name": "$group.name", "namespace_name": "$namespace.name"}
    topic = {**inside, "topic_name": "$topic.name"}
    subscription = {**topic, "subscription_name": "$subscription.name"}
    return [
        Resource("resources.ResourceGroup", "group", {"resource_group_name": group, "location": "West Europe"}),
        Resource(
            "servicebus.Namespace",
            "namespace",
            {"resource_group_name": "$group.name", "namespace_name": namespace, "sku": {"name": "Standard"}},
        ),
        Resource("servicebus.Queue", "queue", {**inside, "queue_name": "orders", "lock_duration": "PT60S"}),
        Resource("servicebus.Topic", "topic", {**inside, "topic_name": "events", "user_metadata": "of the shop"}),
        Resource("servicebus.Subscription", "subscription", {**topic, "subscription_name": "audit"}),
        Resource(
            "servicebus.Rule",
            "rule",
            {
                **subscription,
                "rule_name": "large",
                "filter_type": "SqlFilter",
                "sql_filter": {"sql_expression": "amount > 100"},
                "action": {"sql_expression": "SET sys.label = 'large'"},
            },
        ),
        Resource(
            "servicebus.DefaultRule",
            "default",
            {
                **subscription,
                "filter_type": "CorrelationFilter",
                "correlation_filter": {"label": "paid", "properties": {"region": "eu"}},
            },
        ),
        Resource(
            "servicebus.NamespaceAuthorizationRule",
            "app",
            {**inside, "authorization_rule_name": "app", "rights": ["Send", "Listen"]},
        ),
        Resource(
            "servicebus.QueueAuthorizationRule",
            "sender",
            {**inside, "queue_name": "$queue.name", "authorization_rule_name": "sender", "rights": ["Send"]},
        ),
        Resource(
            "servicebus.TopicAuthorizationRule",
            "listener",
            {**topic, "authorization_rule_name": "listener", "rights": ["Listen", "Send", "Manage"]},
        ),
        Resource(
            "authorization.RoleAssignment",
            "role",
            {
                "scope": "$queue.id",
                "role_assignment_name": "11111111-2222-3333-4444-555555555555",
                "principal_id": "99999999-2222-3333-4444-555555555555",
                "principal_type": "ServicePrincipal",
                "role_definition_id": "/providers/Microsoft.Authorization/roleDefinitions/sender",
            },
        ),
    ]


def test_resources_of_every_type_are_created_used_and_deleted(azure: AzureProcess, stack: Stack) -> None:
    stack.resources = _everything("everything", "everything-here")
    stack.keys_of = {
        "resource_group_name": "$group.name",
        "namespace_name": "$namespace.name",
        "authorization_rule_name": "$app.name",
    }
    assert set(stack.plan().values()) == {"create"}
    assert set(stack.up().values()) == {"create"}
    assert stack.plan() == {}
    assert stack.drift() == {}
    outputs = stack.outputs
    with (
        ServiceBusClient.from_connection_string(outputs["connection_string"], retry_total=0) as client,
        client.get_queue_sender("orders") as sender,
    ):
        sender.send_messages([ServiceBusMessage("one"), ServiceBusMessage("two")])
    assert stack.drift() == {}
    assert stack.steps["queue"].outputs["messageCount"] == 2
    assert stack.steps["queue"].outputs["countDetails"]["activeMessageCount"] == 2
    destroyed = stack.destroy()
    assert set(destroyed.values()) == {"delete"}
    assert len(destroyed) == len(stack.resources)
    with pytest.raises(OSError):  # its listener has stopped
        azure.control_at(outputs["namespace_endpoint"])


def test_the_initial_namespace_has_its_connection_string(azure: AzureProcess, stack: Stack) -> None:
    stack.keys_of = {**_HERE, "authorization_rule_name": "RootManageSharedAccessKey"}
    stack.up()
    assert stack.outputs["connection_string"] == azure.connection_string


def test_outside_changes_and_deletions_are_drift_and_are_fixed(azure: AzureProcess, stack: Stack) -> None:
    stack.resources = [_queue("drifting", {"max_delivery_count": 5})]
    stack.up()
    with azure.administration() as client:
        properties = client.get_queue("drifting")
        properties.max_delivery_count, properties.lock_duration = 7, "PT2M"
        client.update_queue(properties)
        assert stack.drift() == {"queue": "update"}
        assert stack.steps["queue"].diff == {"maxDeliveryCount": "update", "lockDuration": "add"}
        assert stack.up(refresh=True) == {"queue": "update"}
        properties = client.get_queue("drifting")
        assert (properties.max_delivery_count, properties.lock_duration.total_seconds()) == (5, 60)
        client.delete_queue("drifting")
        assert stack.refresh() == {"queue": "delete"}
        assert stack.up() == {"queue": "create"}


def test_updates_are_in_place_and_removed_settings_get_their_defaults(azure: AzureProcess, stack: Stack) -> None:
    stack.resources = [_queue("changing", {"max_delivery_count": 5, "lock_duration": "PT2M"})]
    stack.up()
    stack.resources = [_queue("changing", {"max_delivery_count": 6})]
    assert stack.plan() == {"queue": "update"}
    assert stack.steps["queue"].diff == {"maxDeliveryCount": "update", "lockDuration": "delete"}
    stack.up()
    with azure.administration() as client:
        properties = client.get_queue("changing")
    assert (properties.max_delivery_count, properties.lock_duration.total_seconds()) == (6, 60)
    assert stack.drift() == {}


def test_equivalent_values_are_not_a_change(stack: Stack) -> None:
    stack.resources = [_queue("the-same", {"lock_duration": "PT60S"})]
    stack.up()
    stack.resources = [_queue("the-same", {"lock_duration": "PT1M", "max_delivery_count": 10})]
    assert stack.plan() == {}


def test_sessions_force_a_replacement_that_deletes_first(azure: AzureProcess, stack: Stack) -> None:
    stack.resources = [_queue("replaced")]
    stack.up()
    stack.resources = [_queue("replaced", {"requires_session": True})]
    assert stack.plan() == {"queue": "replace"}
    assert stack.steps["queue"].diff == {"requiresSession": "add-replace"}
    stack.up()
    with azure.administration() as client:
        assert client.get_queue("replaced").requires_session
    assert azure.creates("/queues/replaced") == 2


def test_replacing_a_namespace_replaces_its_entities(stack: Stack) -> None:
    def program(namespace: str) -> list[Resource]:
        inside = {"resource_group_name": "sandbox", "namespace_name": "$namespace.name"}
        return [
            Resource("servicebus.Namespace", "namespace", {**_HERE, "namespace_name": namespace}),
            Resource("servicebus.Queue", "queue", {**inside, "queue_name": "orders"}),
        ]

    stack.resources = program("before-it")
    stack.up()
    stack.resources = program("after-it")
    assert stack.plan() == {"namespace": "replace", "queue": "replace"}
    stack.up()
    assert stack.plan() == {}
    stack.destroy()


def test_an_existing_queue_is_imported_without_changes(azure: AzureProcess, stack: Stack) -> None:
    with azure.administration() as client:
        client.create_queue("adopted", max_delivery_count=4, requires_session=True)
    resource_id = (
        "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/SANDBOX"
        "/providers/Microsoft.ServiceBus/namespaces/sandbox/queues/adopted"
    )
    settings = {"max_delivery_count": 4, "requires_session": True, "lock_duration": "PT60S"}
    stack.resources = [_queue("adopted", settings, import_=resource_id)]
    assert stack.up() == {"queue": "import"}
    assert stack.plan() == {}
    assert stack.drift() == {}
    assert azure.creates("/queues/adopted") == 0


def test_every_resource_type_can_be_imported(azure: AzureProcess, stack: Stack) -> None:
    """Including the initial namespace and its group, and `$Default`, which no test created."""
    calls = Calls(azure.ready["azure_port"])
    names = {"resourceGroupName": "sandbox", "namespaceName": "sandbox"}
    topic = {**names, "topicName": "taken-over"}
    subscription = {**topic, "subscriptionName": "audit"}
    policy = {**topic, "authorizationRuleName": "listener", "rights": ["Listen"]}
    sql = {"filterType": "SqlFilter", "sqlFilter": {"sqlExpression": "amount > 1"}}
    ids = [
        calls.create(kind, inputs)[0]
        for kind, inputs in (
            ("Topic", {**topic, "requiresDuplicateDetection": True}),
            ("Subscription", {**subscription, "lockDuration": "PT2M"}),
            ("Rule", {**subscription, "ruleName": "large", **sql}),
            ("TopicAuthorizationRule", policy),
        )
    ]
    calls.close()
    namespace_id = ids[0].rpartition("/topics/")[0]
    group_id = namespace_id.partition("/providers/")[0]
    of_topic = {**_HERE, "topic_name": "taken-over"}
    of_subscription = {**of_topic, "subscription_name": "audit"}
    wanted: list[tuple[str, dict[str, Any], str]] = [
        ("resources.ResourceGroup", {"resource_group_name": "sandbox"}, group_id),
        ("servicebus.Namespace", {**_HERE, "sku": {"name": "Standard"}}, namespace_id),
        ("servicebus.Topic", {**of_topic, "requires_duplicate_detection": True}, ids[0]),
        ("servicebus.Subscription", {**of_subscription, "lock_duration": "PT120S"}, ids[1]),
        (
            "servicebus.Rule",
            {**of_subscription, "rule_name": "large", "sql_filter": {"sql_expression": "amount > 1"}},
            ids[2],
        ),
        ("servicebus.DefaultRule", of_subscription, f"{ids[1]}/rules/$Default"),
        (
            "servicebus.TopicAuthorizationRule",
            {**of_topic, "authorization_rule_name": "listener", "rights": ["Listen"]},
            ids[3],
        ),
    ]
    stack.resources = [
        Resource(kind, kind, settings, {"import_": resource_id, "retain_on_delete": True})
        for kind, settings, resource_id in wanted
    ]
    done = stack.up()
    assert done == {kind: "import" for kind, _, _ in wanted}, stack.steps
    assert stack.plan() == {}
    assert stack.drift() == {}


def test_an_omitted_name_is_generated_and_kept(stack: Stack) -> None:
    stack.resources = [Resource("servicebus.Queue", "made-up", _HERE)]
    stack.up()
    name = stack.steps["made-up"].outputs["name"]
    assert name.startswith("made-up")
    assert len(name) > len("made-up")
    assert stack.plan() == {}


def test_many_queues_are_created_concurrently(azure: AzureProcess, stack: Stack) -> None:
    stack.resources = [
        Resource("servicebus.Queue", f"q{number}", {**_HERE, "queue_name": f"many-{number}"}) for number in range(60)
    ]
    assert len(stack.up(parallel=16)) == 60
    assert stack.drift() == {}
    assert len(stack.destroy()) == 60
