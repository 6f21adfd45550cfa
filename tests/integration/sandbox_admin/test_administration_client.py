"""Microsoft's own administration client, unmodified, against the admin endpoint over HTTPS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.management import (
    AccessRights,
    AuthorizationRule,
    CorrelationRuleFilter,
    EntityStatus,
    FalseRuleFilter,
    ServiceBusAdministrationClient,
    SqlRuleAction,
    SqlRuleFilter,
    TrueRuleFilter,
)

from tests.integration.sandbox_admin.conftest import Namespace, running

FOREVER = timedelta(days=10675199, hours=2, minutes=48, seconds=5, microseconds=477581)


def _name(kind: str) -> str:
    return f"{kind}-{uuid4().hex[:8]}"


def test_a_new_queue_has_the_services_defaults(admin: ServiceBusAdministrationClient) -> None:
    name = _name("q")
    made = admin.create_queue(name)
    read = admin.get_queue(name)
    for queue in (made, read):
        assert queue.name == name
        assert queue.lock_duration == timedelta(minutes=1)
        assert queue.max_size_in_megabytes == 1024
        assert queue.requires_duplicate_detection is False
        assert queue.requires_session is False
        assert queue.default_message_time_to_live == FOREVER
        assert queue.auto_delete_on_idle == FOREVER
        assert queue.dead_lettering_on_message_expiration is False
        assert queue.duplicate_detection_history_time_window == timedelta(minutes=10)
        assert queue.max_delivery_count == 10
        assert queue.enable_batched_operations is True
        assert queue.status == EntityStatus.ACTIVE
        assert queue.availability_status == "Available"
        assert queue.forward_to is None


def test_a_queue_keeps_every_property(admin: ServiceBusAdministrationClient) -> None:
    name, target = _name("q"), _name("target")
    admin.create_queue(target)
    rule = AuthorizationRule(
        key_name="app", rights=[AccessRights.SEND], primary_key="cHJpbWFyeQ==", secondary_key="c2Vjb25kYXJ5",
        claim_type="SharedAccessKey", claim_value="None", type="SharedAccessAuthorizationRule",
        created_at_utc=datetime(2026, 1, 1, tzinfo=UTC), modified_at_utc=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    wanted: dict[str, Any] = {
        "authorization_rules": [rule],
        "auto_delete_on_idle": timedelta(days=2),
        "dead_lettering_on_message_expiration": True,
        "default_message_time_to_live": timedelta(hours=5, seconds=1.5),
        "duplicate_detection_history_time_window": timedelta(minutes=7),
        "enable_batched_operations": False,
        "enable_express": True,
        "enable_partitioning": True,
        "forward_dead_lettered_messages_to": target,
        "lock_duration": timedelta(seconds=45),
        "max_delivery_count": 3,
        "max_size_in_megabytes": 2048,
        "requires_duplicate_detection": True,
        "requires_session": True,
        "status": EntityStatus.SEND_DISABLED,
        "user_metadata": 'meta <&"> data',
    }
    admin.create_queue(name, **wanted)
    read = admin.get_queue(name)
    for key, value in wanted.items():
        if key == "forward_dead_lettered_messages_to":
            assert str(read.forward_dead_lettered_messages_to).endswith(f"/{target}")
        elif key != "authorization_rules":
            assert getattr(read, key) == value, key
    (kept,) = read.authorization_rules or []
    assert (kept.key_name, kept.rights, kept.primary_key, kept.secondary_key) == (
        "app", ["Send"], "cHJpbWFyeQ==", "c2Vjb25kYXJ5",
    )  # fmt: skip


def test_a_queue_is_updated_read_and_deleted(admin: ServiceBusAdministrationClient) -> None:
    name = _name("q")
    queue = admin.create_queue(name)
    queue.lock_duration = timedelta(seconds=13)
    queue.max_delivery_count = 5
    queue.user_metadata = "changed"
    admin.update_queue(queue)
    read = admin.get_queue(name)
    assert (read.lock_duration, read.max_delivery_count, read.user_metadata) == (timedelta(seconds=13), 5, "changed")
    assert read.default_message_time_to_live == FOREVER
    assert name in [q.name for q in admin.list_queues()]
    admin.delete_queue(name)
    with pytest.raises(ResourceNotFoundError):
        admin.get_queue(name)
    with pytest.raises(ResourceNotFoundError):
        admin.delete_queue(name)
    with pytest.raises(ResourceNotFoundError):
        admin.update_queue(read)


def test_creating_an_existing_entity_is_a_conflict(admin: ServiceBusAdministrationClient) -> None:
    name = _name("x")
    admin.create_queue(name)
    for create in (admin.create_queue, admin.create_topic):
        with pytest.raises(ResourceExistsError, match="40900"):
            create(name.upper())


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"lock_duration": timedelta(minutes=6)}, "LockDuration"),
        ({"max_delivery_count": 0}, "MaxDeliveryCount"),
        ({"duplicate_detection_history_time_window": timedelta(seconds=5)}, "DuplicateDetectionHistoryTimeWindow"),
        ({"default_message_time_to_live": timedelta(0)}, "DefaultMessageTimeToLive"),
        ({"auto_delete_on_idle": timedelta(minutes=1)}, "AutoDeleteOnIdle"),
        ({"max_size_in_megabytes": 1000}, "MaxSizeInMegabytes"),
        ({"forward_to": "is-not-there"}, "does not exist"),
        ({"user_metadata": "x" * 1025}, "UserMetadata"),
    ],
)
def test_values_out_of_range_are_refused(
    admin: ServiceBusAdministrationClient, changes: dict[str, Any], text: str
) -> None:
    name = _name("q")
    with pytest.raises(HttpResponseError, match=text) as refused:
        admin.create_queue(name, **changes)
    assert refused.value.status_code == 400
    with pytest.raises(ResourceNotFoundError):
        admin.get_queue(name)


@pytest.mark.parametrize("name", ["-dash", "with space", "a" * 261, "quest?ion", "dot."])
def test_invalid_names_are_refused(admin: ServiceBusAdministrationClient, name: str) -> None:
    with pytest.raises(HttpResponseError) as refused:
        admin.create_queue(name)
    assert refused.value.status_code == 400


@pytest.mark.parametrize("name", ["a", "with/slash", "With_Under.score-9"])
def test_valid_names_are_accepted(admin: ServiceBusAdministrationClient, name: str) -> None:
    admin.create_queue(name)
    assert admin.get_queue(name.lower()).name == name.lower()
    admin.delete_queue(name)


@pytest.mark.parametrize("fixed", ["requires_session", "requires_duplicate_detection", "enable_partitioning"])
def test_properties_fixed_at_creation_cannot_be_changed(admin: ServiceBusAdministrationClient, fixed: str) -> None:
    name = _name("q")
    queue = admin.create_queue(name)
    setattr(queue, fixed, True)
    with pytest.raises(HttpResponseError, match="of an existing Queue cannot be changed") as refused:
        admin.update_queue(queue)
    assert refused.value.status_code == 400


def test_a_topic_is_created_updated_and_deleted(admin: ServiceBusAdministrationClient) -> None:
    name = _name("t")
    made = admin.create_topic(
        name,
        requires_duplicate_detection=True,
        duplicate_detection_history_time_window=timedelta(hours=1),
        default_message_time_to_live=timedelta(days=3),
        support_ordering=True,
    )
    assert made.requires_duplicate_detection is True
    made.user_metadata = "m"
    made.status = EntityStatus.DISABLED
    admin.update_topic(made)
    read = admin.get_topic(name)
    assert read.duplicate_detection_history_time_window == timedelta(hours=1)
    assert read.default_message_time_to_live == timedelta(days=3)
    assert (read.user_metadata, read.status) == ("m", EntityStatus.DISABLED)
    assert name in [t.name for t in admin.list_topics()]
    admin.delete_topic(name)
    with pytest.raises(ResourceNotFoundError):
        admin.get_topic(name)


def test_a_subscription_is_created_updated_and_deleted(admin: ServiceBusAdministrationClient) -> None:
    topic, target = _name("t"), _name("q")
    admin.create_topic(topic)
    admin.create_queue(target)
    made = admin.create_subscription(
        topic, "s1", requires_session=True, lock_duration=timedelta(seconds=20), max_delivery_count=4,
        dead_lettering_on_message_expiration=True, dead_lettering_on_filter_evaluation_exceptions=False,
        default_message_time_to_live=timedelta(hours=2), user_metadata="u",
    )  # fmt: skip
    assert made.requires_session is True
    admin.create_subscription(topic, "s2", forward_to=target)
    assert str(admin.get_subscription(topic, "s2").forward_to).endswith(f"/{target}")
    made.max_delivery_count = 6
    admin.update_subscription(topic, made)
    read = admin.get_subscription(topic, "s1")
    assert (read.max_delivery_count, read.lock_duration, read.user_metadata) == (6, timedelta(seconds=20), "u")
    assert read.dead_lettering_on_filter_evaluation_exceptions is False
    assert read.dead_lettering_on_message_expiration is True
    assert [s.name for s in admin.list_subscriptions(topic)] == ["s1", "s2"]
    forwarding = admin.get_subscription(topic, "s2")
    forwarding.user_metadata = "still forwarding"
    admin.update_subscription(topic, forwarding)
    assert str(admin.get_subscription(topic, "s2").forward_to).endswith(f"/{target}")
    with pytest.raises(ResourceExistsError):
        admin.create_subscription(topic, "S1")
    admin.delete_subscription(topic, "s1")
    with pytest.raises(ResourceNotFoundError):
        admin.get_subscription(topic, "s1")
    with pytest.raises(ResourceNotFoundError):
        admin.create_subscription(_name("missing"), "s")


def test_rules_keep_filters_actions_and_value_types(admin: ServiceBusAdministrationClient) -> None:
    topic = _name("t")
    admin.create_topic(topic)
    admin.create_subscription(topic, "s")
    (default,) = admin.list_rules(topic, "s")
    assert default.name == "$Default"
    assert isinstance(default.filter, TrueRuleFilter)
    admin.delete_rule(topic, "s", "$Default")

    parameters: dict[str, Any] = {"@i": 1, "@big": 2**40, "@f": 1.5, "@b": True, "@s": "x", "@d": timedelta(minutes=3)}
    sql = SqlRuleFilter("a = @i AND s = '<&>'", parameters=parameters)
    admin.create_rule(topic, "s", "sql", filter=sql, action=SqlRuleAction("SET x = 1; REMOVE y"))
    moment = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
    properties: dict[str, Any] = {"colour": "red", "n": 5, "at": moment, "yes": False}
    correlation = CorrelationRuleFilter(
        correlation_id="c", message_id="m", to="t", reply_to="r", label="l", session_id="s",
        reply_to_session_id="rs", content_type="ct", properties=properties,
    )  # fmt: skip
    admin.create_rule(topic, "s", "correlation", filter=correlation)
    admin.create_rule(topic, "s", "never", filter=FalseRuleFilter())

    read = admin.get_rule(topic, "s", "sql")
    assert isinstance(read.filter, SqlRuleFilter)
    assert isinstance(read.action, SqlRuleAction)
    assert (read.filter.sql_expression, read.filter.parameters) == ("a = @i AND s = '<&>'", parameters)
    assert read.action.sql_expression == "SET x = 1; REMOVE y"
    read = admin.get_rule(topic, "s", "correlation")
    assert isinstance(read.filter, CorrelationRuleFilter)
    for key in ("correlation_id", "message_id", "to", "reply_to", "label", "session_id", "content_type", "properties"):
        assert getattr(read.filter, key) == getattr(correlation, key)
    assert isinstance(admin.get_rule(topic, "s", "never").filter, FalseRuleFilter)

    read.filter = SqlRuleFilter("b = 2")
    admin.update_rule(topic, "s", read)
    changed = admin.get_rule(topic, "s", "correlation").filter
    assert isinstance(changed, SqlRuleFilter)
    assert changed.sql_expression == "b = 2"
    assert [r.name for r in admin.list_rules(topic, "s")] == ["correlation", "never", "sql"]
    with pytest.raises(ResourceExistsError):
        admin.create_rule(topic, "s", "sql")
    with pytest.raises(ResourceNotFoundError):
        admin.get_rule(topic, "s", "missing")
    with pytest.raises(HttpResponseError, match="parsing the SQL expression"):
        admin.create_rule(topic, "s", "wrong", filter=SqlRuleFilter("a = "))
    with pytest.raises(HttpResponseError, match="At least one"):
        admin.create_rule(topic, "s", "empty", filter=CorrelationRuleFilter())


def test_lists_are_paged(admin: ServiceBusAdministrationClient) -> None:
    topic = _name("t")
    admin.create_topic(topic)
    names = [f"s{n:02}" for n in range(7)]
    for name in names:
        admin.create_subscription(topic, name)
    assert [s.name for s in admin.list_subscriptions(topic, max_page_size=3)] == names
    pages = [[s.name for s in page] for page in admin.list_subscriptions(topic, max_page_size=3).by_page()]
    assert pages == [names[:3], names[3:6], names[6:]]
    assert [s.name for s in admin.list_subscriptions(topic, start_index=5)] == names[5:]
    assert [s.name for s in admin.list_subscriptions_runtime_properties(topic, max_page_size=7)] == names
    exact = [[s.name for s in page] for page in admin.list_subscriptions(topic, max_page_size=7).by_page()]
    assert exact == [names]


def test_runtime_properties_count_the_messages_of_clients(
    admin: ServiceBusAdministrationClient, namespace: Namespace
) -> None:
    queue, topic = _name("q"), _name("t")
    admin.create_queue(queue)
    admin.create_topic(topic)
    admin.create_subscription(topic, "s")
    fresh = admin.get_queue_runtime_properties(queue)
    assert (fresh.total_message_count, fresh.size_in_bytes) == (0, 0)
    assert fresh.accessed_at_utc is not None
    assert fresh.accessed_at_utc.year == 1  # never
    before = datetime.now(UTC) - timedelta(seconds=5)
    connection = namespace.connection_string(namespace.amqp_port, emulator=True)
    with ServiceBusClient.from_connection_string(connection) as client:
        with client.get_queue_sender(queue) as sender, client.get_queue_receiver(queue) as receiver:
            sender.send_messages([ServiceBusMessage(b"x" * 100) for _ in range(4)])
            sender.schedule_messages(ServiceBusMessage(b"later"), datetime.now(UTC) + timedelta(hours=1))
            (taken,) = receiver.receive_messages(1, max_wait_time=5)
            receiver.dead_letter_message(taken)
        with client.get_topic_sender(topic) as sender:
            sender.send_messages([ServiceBusMessage(b"y"), ServiceBusMessage(b"z")])
            sender.schedule_messages(ServiceBusMessage(b"later"), datetime.now(UTC) + timedelta(hours=1))
    counts = admin.get_queue_runtime_properties(queue)
    assert counts.active_message_count == 3
    assert counts.dead_letter_message_count == 1
    assert counts.scheduled_message_count == 1
    assert counts.transfer_message_count == 0
    assert counts.transfer_dead_letter_message_count == 0
    assert counts.total_message_count == 5
    assert (counts.size_in_bytes or 0) > 400
    for moment in (counts.created_at_utc, counts.updated_at_utc, counts.accessed_at_utc):
        assert moment is not None
        assert moment >= before
    subscription = admin.get_subscription_runtime_properties(topic, "s")
    assert (subscription.active_message_count, subscription.total_message_count) == (2, 2)
    of_topic = admin.get_topic_runtime_properties(topic)
    assert (of_topic.subscription_count, of_topic.scheduled_message_count) == (1, 1)
    assert queue in [q.name for q in admin.list_queues_runtime_properties()]


def test_the_namespace_reports_its_tier(admin: ServiceBusAdministrationClient) -> None:
    properties = admin.get_namespace_properties()
    assert properties.name == "sandbox"
    assert properties.messaging_sku == "Standard"
    assert properties.namespace_type == "Messaging"


def test_a_wrong_key_is_refused(namespace: Namespace) -> None:
    with namespace.admin(key="d3Jvbmc=") as client, pytest.raises(ClientAuthenticationError, match="40100"):
        client.get_namespace_properties()


def test_a_premium_namespace_reports_its_tier_and_survives_a_restart(tmp_path: Path, certificates: Path) -> None:
    with running(tmp_path, certificates, "premium") as namespace, namespace.admin() as client:
        assert client.get_namespace_properties().messaging_sku == "Premium"
        assert client.create_queue("q").max_message_size_in_kilobytes == 1024
        client.create_topic("t", max_message_size_in_kilobytes=102400)
        with pytest.raises(HttpResponseError, match="Partitioned"):
            client.create_queue("p", enable_partitioning=True)
    with running(tmp_path, certificates, "premium") as namespace, namespace.admin() as client:
        assert [q.name for q in client.list_queues()] == ["q"]
        assert client.get_topic("t").max_message_size_in_kilobytes == 102400
