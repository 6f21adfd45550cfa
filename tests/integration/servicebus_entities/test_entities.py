"""The full lifecycle of queues, topics, subscriptions and rules in mode `entities`."""

from __future__ import annotations

import re

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.management import CorrelationRuleFilter, ServiceBusAdministrationClient, SqlRuleFilter

from tests.integration.engine import Resource, Stack
from tests.integration.servicebus_entities.serving import entity
from tests.running import Sandbox


def queue(name: str, **settings: object) -> Resource:
    return entity("Queue", name, {"queueName": name, **settings})


def topic(name: str, **settings: object) -> Resource:
    return entity("Topic", name, {"topicName": name, **settings})


def audit(of: str, **settings: object) -> Resource:
    return entity(
        "Subscription", f"{of}/audit", {"topicName": f"${of}.topicName", "subscriptionName": "audit", **settings}
    )


def rule(of: str, name: str, **settings: object) -> Resource:
    parents = {"topicName": f"${of}/audit.topicName", "subscriptionName": f"${of}/audit.subscriptionName"}
    return entity("Rule", f"{of}/audit/{name}", {**parents, "ruleName": name, **settings})


def test_entities_are_created_as_specified_show_no_drift_and_are_deleted(
    stack: Stack, administration: ServiceBusAdministrationClient, sandbox: Sandbox
) -> None:
    stack.resources = [
        queue("all-dead"),
        queue(
            "all/orders",
            lockDuration="PT60S",
            maxDeliveryCount=7,
            requiresDuplicateDetection=True,
            duplicateDetectionHistoryTimeWindow="PT1H",
            defaultMessageTimeToLive="P7D",
            forwardDeadLetteredMessagesTo="$all-dead.queueName",
            userMetadata="made by a test",
        ),
        topic("all-events", supportOrdering=True),
        audit("all-events", deadLetteringOnFilterEvaluationExceptions=False, forwardTo="$all-dead.queueName"),
        rule("all-events", "$Default", sqlFilter={"sqlExpression": "1=0"}),
        rule("all-events", "eu", sqlFilter={"sqlExpression": "r='EU'"}, action={"sqlExpression": "SET a='b'"}),
        rule("all-events", "us", correlationFilter={"label": "us", "properties": {"with.dot": "x", "n": 1}}),
    ]
    names = {each.name for each in stack.resources}

    assert stack.plan() == dict.fromkeys(names, "create")
    assert stack.up() == dict.fromkeys(names, "create")

    orders = administration.get_queue("all/orders")
    assert (orders.max_delivery_count, orders.requires_duplicate_detection, orders.user_metadata) == (
        7,
        True,
        "made by a test",
    )
    subscription = administration.get_subscription("all-events", "audit")
    assert subscription.dead_lettering_on_filter_evaluation_exceptions is False
    assert str(subscription.forward_to).endswith("/all-dead")
    rules = {each.name: each for each in administration.list_rules("all-events", "audit")}
    assert rules.keys() == {"$Default", "eu", "us"}
    assert isinstance(rules["$Default"].filter, SqlRuleFilter)
    assert rules["$Default"].filter.sql_expression == "1=0"
    assert isinstance(rules["us"].filter, CorrelationRuleFilter)
    assert rules["us"].filter.properties == {"with.dot": "x", "n": 1}

    assert stack.plan() == {}
    assert stack.drift() == {}
    key = re.search(r"SharedAccessKey=([^;]+)", sandbox.env["ASB_CONNECTION_STRING"])
    assert key
    assert key[1] not in str(stack.deployment)

    assert stack.destroy() == dict.fromkeys(names, "delete")
    assert [each.name for each in administration.list_queues() if each.name.startswith("all")] == []
    assert [each.name for each in administration.list_topics() if each.name.startswith("all")] == []


def test_outside_changes_are_drift_per_property_and_are_fixed(
    stack: Stack, administration: ServiceBusAdministrationClient, sandbox: Sandbox
) -> None:
    stack.resources = [
        queue("drift", lockDuration="PT60S"),
        queue("drift-gone"),
        topic("drift-events"),
        audit("drift-events"),
        rule("drift-events", "$Default", sqlFilter={"sqlExpression": "r='EU'"}),
    ]
    stack.up()
    client = ServiceBusClient.from_connection_string(sandbox.env["ASB_CONNECTION_STRING"])
    with client, client.get_queue_sender("drift") as sender:
        sender.send_messages(ServiceBusMessage("one"))
    assert stack.refresh() == {}, "a new message is not drift"
    assert stack.recorded("drift")["outputs"]["messageCount"] == 1
    assert stack.recorded("drift")["outputs"]["countDetails"]["activeMessageCount"] == 1

    changed = administration.get_queue("drift")
    changed.lock_duration, changed.max_delivery_count = "PT30S", 3
    administration.update_queue(changed)
    changed_rule = administration.get_rule("drift-events", "audit", "$Default")
    changed_rule.filter = CorrelationRuleFilter(label="us")
    administration.update_rule("drift-events", "audit", changed_rule)
    administration.delete_queue("drift-gone")

    assert stack.drift() == {"drift": "update", "drift-gone": "delete", "drift-events/audit/$Default": "update"}
    assert stack.steps["drift"].diff.keys() == {"lockDuration", "maxDeliveryCount"}
    assert stack.steps["drift-events/audit/$Default"].diff.keys() == {"sqlFilter", "correlationFilter"}

    stack.up(refresh=True)
    assert administration.get_queue("drift").max_delivery_count == 10
    assert administration.get_queue("drift-gone").name == "drift-gone"
    restored = administration.get_rule("drift-events", "audit", "$Default").filter
    assert isinstance(restored, SqlRuleFilter)
    assert restored.sql_expression == "r='EU'"
    assert stack.drift() == {}


def test_updates_are_in_place_and_removed_settings_get_their_defaults(
    stack: Stack, administration: ServiceBusAdministrationClient
) -> None:
    written = {
        "forwardTo": "$update-dead.queueName",
        "maxDeliveryCount": 3,
        "defaultMessageTimeToLive": "PT1H",
        "userMetadata": "x",
    }
    stack.resources = [queue("update-dead"), queue("update", **written), topic("update-events"), audit("update-events")]
    stack.up()
    stack.resources[1] = queue("update", lockDuration="PT2M", status="SendDisabled")
    stack.resources += [rule("update-events", "$Default", sqlFilter={"sqlExpression": "1=0"})]

    assert stack.plan() == {"update": "update", "update-events/audit/$Default": "create"}
    assert stack.steps["update"].diff == {
        "defaultMessageTimeToLive": "delete",
        "forwardTo": "delete",
        "lockDuration": "add",
        "maxDeliveryCount": "delete",
        "status": "add",
        "userMetadata": "delete",
    }
    assert stack.up() == {"update": "update", "update-events/audit/$Default": "create"}
    real = administration.get_queue("update")
    assert (real.forward_to, real.max_delivery_count, real.status) == (None, 10, "SendDisabled")
    assert real.user_metadata is None
    assert real.default_message_time_to_live.days > 10_000  # type: ignore[union-attr]
    assert stack.plan(refresh=True) == {}

    # `$Default` gets the service's own filter back: without the rule, the subscription would match nothing.
    del stack.resources[-1]
    assert stack.up() == {"update-events/audit/$Default": "delete"}
    assert administration.get_rule("update-events", "audit", "$Default").filter.sql_expression == "1=1"  # type: ignore[union-attr]


def test_a_replacement_includes_everything_below_it(
    stack: Stack, administration: ServiceBusAdministrationClient
) -> None:
    stack.resources = [topic("anew"), audit("anew"), rule("anew", "eu", sqlFilter={"sqlExpression": "r='EU'"})]
    stack.up()
    stack.resources[1] = audit("anew", requiresSession=True)
    assert stack.plan() == {"anew/audit": "replace", "anew/audit/eu": "replace"}
    assert stack.steps["anew/audit"].diff == {"requiresSession": "add-replace"}

    stack.resources[0] = topic("anew", requiresDuplicateDetection=True)
    everything = {"anew": "replace", "anew/audit": "replace", "anew/audit/eu": "replace"}
    assert stack.plan() == everything
    assert stack.up() == everything
    assert administration.get_topic("anew").requires_duplicate_detection is True
    assert administration.get_subscription("anew", "audit").requires_session is True
    assert {each.name for each in administration.list_rules("anew", "audit")} == {"$Default", "eu"}
    assert stack.plan(refresh=True) == {}


def test_existing_entities_are_imported_unchanged_or_refused(
    stack: Stack, administration: ServiceBusAdministrationClient
) -> None:
    administration.create_queue("taken", max_delivery_count=4, lock_duration="PT90S")
    administration.create_topic("taken-events")
    administration.create_subscription("taken-events", "audit")
    stack.resources = [queue("taken", maxDeliveryCount=4, lockDuration="PT1M30S")]
    assert "cannot create already existing resource 'queue/taken'" in stack.refused("up")

    ids = {
        "taken": "queue/taken",
        "taken-events": "topic/taken-events",
        "taken-events/audit": "topic/taken-events/subscription/audit",
        "taken-events/audit/$Default": "topic/taken-events/subscription/audit/rule/$Default",
    }
    found = [*stack.resources, topic("taken-events"), audit("taken-events"), rule("taken-events", "$Default")]
    stack.resources = [Resource(each.type, each.name, each.settings, {"import_": ids[each.name]}) for each in found]
    assert stack.plan() == dict.fromkeys(ids, "import")
    assert stack.up() == dict.fromkeys(ids, "import")
    stack.resources = found
    assert stack.plan(refresh=True) == {}


def test_an_entity_is_not_mistaken_for_another_kind_of_the_same_name(
    stack: Stack, administration: ServiceBusAdministrationClient
) -> None:
    stack.resources = [queue("swapped")]
    stack.up()
    administration.delete_queue("swapped")
    administration.create_topic("swapped")
    assert stack.drift() == {"swapped": "delete"}
    assert stack.destroy() == {"swapped": "delete"}
    assert administration.get_topic("swapped").name == "swapped"


def test_an_invalid_setting_is_refused_before_anything_is_created(
    stack: Stack, administration: ServiceBusAdministrationClient
) -> None:
    stack.resources = [queue("wrong-not"), queue("wrong", lockDuration="PT10M", maxDeliveries=3)]
    said = stack.refused("plan")
    assert "maxDeliveries is unknown" in said
    assert "lockDuration must be at most 300 seconds, not PT10M" in said
    with pytest.raises(ResourceNotFoundError):
        administration.get_queue("wrong-not")
