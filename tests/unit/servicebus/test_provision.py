from __future__ import annotations

from typing import Any

import pytest
from dstream_servicebus.config import Config, Entra, access
from dstream_servicebus.provision import expected_load, spec_of
from dstream_stacks.capacity import Load
from dstream_stacks.spec import (
    AuthorizationRule,
    CorrelationFilter,
    CustomerManagedKey,
    Queue,
    RoleAssignment,
    Rule,
    ServiceBusSpec,
    as_document,
)

from dstream.errors import ConfigError
from dstream.sdk import config_schema, decode_config

KEY = "Endpoint=sb://x/;SharedAccessKeyName=n;SharedAccessKey=hidden="
PRINCIPAL = "11111111-2222-3333-4444-55555555555a"
PLACE = {"resource_group": "rg", "namespace": "sb-orders"}


def spec(**settings: Any) -> ServiceBusSpec:
    return spec_of(decode_config({**PLACE, "queue": "orders", **settings}, Config))


def topics(**settings: Any) -> ServiceBusSpec:
    return spec(queue=None, topic="events", **settings)


def entities(**settings: Any) -> ServiceBusSpec:
    return spec(resource_group=None, mode="entities", connection_string=KEY, **settings)


def test_an_original_config_provisions_the_original_queues() -> None:
    original = decode_config(
        {
            "connectionString": KEY,
            "resourceGroup": "rg-default",
            "namespace": "sb-westeurope",
            "sourceHost": "LOCALHOST",
            "sourceDatabase": "TestDB",
            "tables": ["dbo.Cars", "Persons"],
        },
        Config,
    )

    assert as_document(spec_of(original)) == {
        "resource_group": {"name": "rg-default"},
        "namespace": {"name": "sb-westeurope"},
        "queues": [
            {"name": name, "duplicate_detection": True, "duplicate_detection_window_s": 600.0}
            for name in ("localhost-test-db-cars", "localhost-test-db-persons")
        ],
    }


def test_the_provisioned_entities_are_the_publishing_targets() -> None:
    assert [queue.name for queue in spec(queue="shop-{table}", tables=["dbo.Orders", "sales.Lines"]).queues] == [
        "shop-orders",
        "shop-sales-lines",
    ]


def test_entities_with_names_from_events_are_provisioned_by_name() -> None:
    built = spec(
        queue="{table}-{OperationType}", tables=["a"], entities={"a-insert": {}, "a-delete": {"sessions": False}}
    )

    assert [queue.name for queue in built.queues] == ["a-insert", "a-delete"]


def test_settings_of_one_entity_override_common_settings() -> None:
    built = spec(
        queue="{table}",
        tables=["a", "b"],
        entity={"lock_duration": "30s", "max_delivery_count": 5, "max_size": "2GB", "protect": True},
        entities={"b": {"max_delivery_count": 9, "protect": False, "duplicate_detection": False}},
    )

    common = {"lock_duration_s": 30.0, "max_size_mb": 2048}
    detected = {"duplicate_detection": True, "duplicate_detection_window_s": 600.0}
    assert built.queues == (
        Queue(name="a", **common, **detected, max_delivery_count=5, protect=True),  # type: ignore[arg-type]
        Queue(name="b", **common, duplicate_detection=False, max_delivery_count=9),  # type: ignore[arg-type]
    )


def test_duplicate_detection_is_on_if_the_tier_supports_it() -> None:
    assert spec().queues[0].duplicate_detection is True
    assert spec(sku="Basic").queues[0].duplicate_detection is None
    assert spec(entity={"duplicate_detection_window": "1h"}).queues[0].duplicate_detection_window_s == 3600


def test_in_mode_entities_the_service_chooses_the_detection_window() -> None:
    queue = entities().queues[0]

    assert (queue.duplicate_detection, queue.duplicate_detection_window_s) == (True, None)


@pytest.mark.parametrize(
    ("session", "own", "sessions"), [("none", None, None), ("table", None, True), ("key", False, False)]
)
def test_a_queue_has_sessions_if_its_messages_do(session: str, own: bool | None, sessions: bool | None) -> None:
    assert spec(session=session, entity={} if own is None else {"sessions": own}).queues[0].sessions is sessions


def test_subscriptions_are_created_on_every_or_on_named_topics() -> None:
    built = spec(
        queue=None,
        topic="{table}",
        tables=["a", "b"],
        session="table",
        subscriptions=[
            {"name": "all"},
            {
                "name": "some",
                "topics": ["b"],
                "sessions": False,
                "filter": "x = 1",
                "action": "SET y = 2",
                "rules": [{"name": "eu", "correlation": {"subject": "s", "properties": {"k": "v"}}}],
            },
        ],
    )

    assert [[subscription.name for subscription in topic.subscriptions] for topic in built.topics] == [
        ["all"],
        ["all", "some"],
    ]
    some = built.topics[1].subscriptions[1]
    assert (built.topics[1].subscriptions[0].sessions, some.sessions) == (True, False)
    assert some.rules == (
        Rule(sql="x = 1", action="SET y = 2"),
        Rule(name="eu", correlation=CorrelationFilter(subject="s", properties={"k": "v"})),
    )


def test_an_action_without_a_filter_applies_to_every_message() -> None:
    built = topics(subscriptions=[{"name": "s", "action": "SET y = 2"}])

    assert built.topics[0].subscriptions[0].rules == (Rule(sql="1=1", action="SET y = 2"),)


@pytest.mark.parametrize(
    ("written", "sent"), [("x = 1\n", "x = 1"), (" 1 = 1\n", "1=1"), ("1 =0", "1=0"), ("1 = 1 OR x", "1 = 1 OR x")]
)
def test_a_filter_is_sent_as_the_service_returns_it(written: str, sent: str) -> None:
    rules = [{"name": "r", "filter": written, "action": f"\n{written}"}]
    subscription = topics(subscriptions=[{"name": "s", "filter": written, "rules": rules}]).topics[0].subscriptions[0]

    assert [rule.sql for rule in subscription.rules] == [sent, sent]
    assert subscription.rules[1].action == sent


def test_authorization_rules_apply_to_one_entity_or_the_namespace() -> None:
    built = spec(
        authorization_rules=[
            {"name": "reader", "rights": ["Listen"], "entity": "orders"},
            {"name": "admin", "rights": ["Send", "Manage", "Listen"]},
        ]
    )

    assert built.authorization_rules == (
        AuthorizationRule(name="reader", rights=("Listen",), queue="orders"),
        AuthorizationRule(name="admin", rights=("Listen", "Manage", "Send")),
    )


def test_import_and_protect_apply_to_every_resource() -> None:
    built = spec(protect=True, retain_on_delete=True, **{"import": True})

    assert built.import_existing
    assert built.namespace is not None
    for each in (built.namespace, *built.queues):
        assert (each.protect, each.retain_on_delete, each.import_) == (True, True, True)
    assert spec_of(decode_config({**PLACE, "queue": "orders"}, Config), import_existing=True).import_existing


def test_a_namespace_can_be_given_by_its_host_name() -> None:
    built = spec(namespace="sb-orders.servicebus.windows.net")

    assert built.namespace is not None
    assert built.namespace.name == "sb-orders"


def test_the_expected_load_is_rows_per_second_and_bytes_per_row() -> None:
    settings = {**PLACE, "queue": "orders"}

    assert expected_load(decode_config(settings, Config)) is None
    assert expected_load(
        decode_config({**settings, "expected_rate": 200, "expected_row_size": "1KiB"}, Config)
    ) == Load(200, 1024)


def test_the_spec_contains_no_secret() -> None:
    assert "hidden" not in str(as_document(spec(connection_string=KEY)))


def test_the_connection_string_of_the_stack_is_used_on_request() -> None:
    config = decode_config({**PLACE, "queue": "orders", "connection": "stack"}, Config)

    assert access(config, {"connection_string": "Endpoint=sb://stack/"}).entry == "Endpoint=sb://stack/"
    with pytest.raises(ConfigError) as caught:
        access(config)
    assert (caught.value.code, caught.value.config_path) == ("servicebus.no_stack_connection", "connection")


def test_the_stack_connection_can_only_send() -> None:
    own = AuthorizationRule(name="dstream-send", rights=("Send",), queue="orders")
    built = spec(connection="stack")
    assert (built.publisher, built.authorization_rules) == (own, (own,))
    assert topics(connection="stack").publisher == AuthorizationRule(
        name="dstream-send", rights=("Send",), topic="events"
    )
    assert spec().publisher is None

    rules = [{"name": "both", "rights": ["Send", "Listen"]}, {"name": "mine", "rights": ["Send"], "entity": "orders"}]
    built = spec(connection="stack", authorization_rules=rules)
    assert built.publisher == AuthorizationRule(name="mine", rights=("Send",), queue="orders")
    assert len(built.authorization_rules) == 2


def test_several_entities_need_one_rule_that_can_send_to_all() -> None:
    several = {"queue": "{table}", "entities": {"a": {}, "b": {}}, "connection": "stack"}
    with pytest.raises(ConfigError) as caught:
        spec(**several)
    assert (caught.value.code, caught.value.config_path) == ("servicebus.no_publisher", "connection")
    of_one = [{"name": "one", "rights": ["Send"], "entity": "a"}]
    of_all = [{"name": "all", "rights": ["Send"]}]
    with pytest.raises(ConfigError):
        spec(**several, authorization_rules=of_one)
    built = spec(**several, authorization_rules=of_one + of_all)
    assert built.publisher == AuthorizationRule(name="all", rights=("Send",))


@pytest.mark.parametrize("settings", [{"credential": "managed_identity"}, {"disable_local_auth": True}])
def test_the_stack_is_used_without_its_key_by_an_identity(settings: dict[str, Any]) -> None:
    config = decode_config({**PLACE, "queue": "orders", "connection": "stack", **settings}, Config)
    outputs = {"endpoint": "https://sb-orders.servicebus.chinacloudapi.cn:443/", "connection_string": KEY}

    assert (spec_of(config).publisher, spec_of(config).authorization_rules) == (None, ())
    entry = access(config, outputs).entry
    assert isinstance(entry, Entra)
    assert entry.namespace == "sb-orders.servicebus.chinacloudapi.cn"
    with pytest.raises(ConfigError, match="no endpoint yet"):
        access(config, {})


NEW = {"create_namespace": True, "location": "westeurope"}


@pytest.mark.parametrize(
    ("settings", "code", "path"),
    [
        ({"queue": "{table}"}, "servicebus.name_not_known", "queue"),
        ({"queue": "{table}-{OperationType}", "tables": ["a"]}, "servicebus.name_not_known", "queue"),
        ({"entities": {"ordesr": {}}}, "servicebus.unknown_entity", "entities.ordesr"),
        ({"queue": "a/b"}, "servicebus.bad_entity_name", "queue"),
        ({"queue": "{OperationType}", "entities": {"-a": {}}}, "servicebus.bad_entity_name", "entities.-a"),
        ({"queue": "{OperationType}", "entities": {"a": {}, "A": {}}}, "servicebus.duplicate_name", "queue"),
        ({"resource_group": None}, "servicebus.no_resource_group", "resource_group"),
        ({"resource_group": "rg."}, "servicebus.bad_name", "resource_group"),
        ({"namespace": None}, "servicebus.no_namespace", "namespace"),
        ({"namespace": "sb"}, "servicebus.bad_name", "namespace"),
        ({"namespace": "sb_orders"}, "servicebus.bad_name", "namespace"),
        ({"subscription_id": "mine"}, "servicebus.bad_name", "subscription_id"),
        ({"create_namespace": True}, "servicebus.no_location", "location"),
        ({"create_resource_group": True}, "servicebus.no_location", "location"),
        ({"create_resource_group": True, "location": "x"}, "servicebus.unused_setting", "create_resource_group"),
        ({"zone_redundant": True}, "servicebus.unused_setting", "zone_redundant"),
        ({"tags": {"a": "b"}}, "servicebus.unused_setting", "tags"),
        ({**NEW, "capacity": 4}, "servicebus.not_in_tier", "capacity"),
        ({**NEW, "zone_redundant": True}, "servicebus.not_in_tier", "zone_redundant"),
        ({"sku": "Basic", "entity": {"duplicate_detection": True}}, "servicebus.not_in_tier", "entity.duplicate_detection"),
        ({"sku": "Basic", "session": "key", "entities": {"orders": {"sessions": True}}}, "servicebus.not_in_tier", "entities.orders.sessions"),
        ({"sku": "Basic", "queue": None, "topic": "t"}, "servicebus.not_in_tier", "topic"),
        ({"sku": "Premium", "entity": {"partitioning": True}}, "servicebus.not_in_tier", "entity.partitioning"),
        ({"entity": {"partitioning": True}}, "servicebus.no_batches", "entity.partitioning"),
        ({"entities": {"orders": {"partitioning": True, "duplicate_detection": True}}}, "servicebus.no_batches", "entities.orders.partitioning"),
        ({"sku": "Standard", "entity": {"max_message_size": "2MB"}}, "servicebus.not_in_tier", "entity.max_message_size"),
        ({"entity": {"lock_duration": "6m"}}, "servicebus.out_of_range", "entity.lock_duration"),
        ({"entity": {"duplicate_detection_window": "10s"}}, "servicebus.out_of_range", "entity.duplicate_detection_window"),
        ({"entity": {"duplicate_detection_window": "8d"}}, "servicebus.out_of_range", "entity.duplicate_detection_window"),
        ({"entity": {"auto_delete_on_idle": "1m"}}, "servicebus.out_of_range", "entity.auto_delete_on_idle"),
        ({"entity": {"default_time_to_live": "100ms"}}, "servicebus.out_of_range", "entity.default_time_to_live"),
        ({"entity": {"max_size": "6GB"}}, "servicebus.out_of_range", "entity.max_size"),
        ({"sku": "Standard", "entity": {"max_size": "80GB"}}, "servicebus.out_of_range", "entity.max_size"),
        ({"entity": {"max_message_size": "200MB"}}, "servicebus.out_of_range", "entity.max_message_size"),
        ({"entity": {"max_delivery_count": 0}}, "config.invalid", "entity.max_delivery_count"),
        ({"entity": {"duplicate_detection": False, "duplicate_detection_window": "1m"}}, "servicebus.unused_setting", "entity.duplicate_detection_window"),
        ({"entity": {"support_ordering": True}}, "servicebus.not_of_kind", "entity.support_ordering"),
        ({"queue": None, "topic": "t", "entity": {"lock_duration": "1m"}}, "servicebus.not_of_kind", "entity.lock_duration"),
        ({"subscriptions": [{"name": "s"}]}, "servicebus.not_of_kind", "subscriptions"),
        ({"entity": {"sessions": True}}, "servicebus.no_sessions_sent", "entity.sessions"),
        ({"entity": {"forward_to": "orders"}}, "servicebus.forward_circle", "entity.forward_to"),
        ({"authorization_rules": [{"name": "a", "rights": ["Manage"]}]}, "servicebus.bad_rights", "authorization_rules[0].rights"),
        ({"authorization_rules": [{"name": "a", "rights": ["Send"], "entity": "x"}]}, "servicebus.unknown_entity", "authorization_rules[0].entity"),
        ({"authorization_rules": [{"name": "a", "rights": ["Send"]}] * 2}, "servicebus.duplicate_name", "authorization_rules"),
        ({"authorization_rules": [{"name": f"a{n}", "rights": ["Send"]} for n in range(13)]}, "servicebus.out_of_range", "authorization_rules"),
        ({"connection": "stack", "connection_string": KEY, "mode": "entities"}, "servicebus.not_in_mode", "connection"),
        ({"mode": "entities", "create_namespace": True}, "servicebus.not_in_mode", "create_namespace"),
        ({"mode": "entities", "authorization_rules": [{"name": "a", "rights": ["Send"]}]}, "servicebus.not_in_mode", "authorization_rules"),
        ({"mode": "entities", "tags": {"a": "b"}}, "servicebus.not_in_mode", "tags"),
    ],
)  # fmt: skip
def test_a_setting_that_service_bus_would_refuse_is_named(settings: dict[str, Any], code: str, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        spec(**settings)

    assert (caught.value.code, caught.value.config_path) == (code, path)


@pytest.mark.parametrize(
    ("subscription", "code", "path"),
    [
        ({"name": "s" * 51}, "servicebus.bad_name", "subscriptions[0].name"),
        ({"name": "s", "topics": ["other"]}, "servicebus.unknown_entity", "subscriptions[0].topics"),
        ({"name": "s", "lock_duration": "6m"}, "servicebus.out_of_range", "subscriptions[0].lock_duration"),
        ({"name": "s", "sessions": True}, "servicebus.no_sessions_sent", "subscriptions[0].sessions"),
        ({"name": "s", "filter": "1=1", "correlation": {"subject": "x"}}, "servicebus.bad_rule", "subscriptions[0].correlation"),
        ({"name": "s", "rules": [{"name": "r"}]}, "servicebus.bad_rule", "subscriptions[0].rules[0]"),
        ({"name": "s", "rules": [{"name": "r r", "filter": "1=1"}]}, "servicebus.bad_name", "subscriptions[0].rules[0].name"),
        ({"name": "s", "filter": "1=1", "rules": [{"name": "$Default", "filter": "1=1"}]}, "servicebus.duplicate_name", "subscriptions[0].rules"),
    ],
)  # fmt: skip
def test_an_invalid_subscription_setting_is_named(subscription: dict[str, Any], code: str, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        topics(subscriptions=[subscription])

    assert (caught.value.code, caught.value.config_path) == (code, path)


def test_a_duplicate_subscription_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        topics(subscriptions=[{"name": "s"}, {"name": "S"}])

    assert caught.value.code == "servicebus.duplicate_name"


def test_in_mode_entities_durations_and_sizes_are_left_to_the_service() -> None:
    queue = entities(entity={"duplicate_detection_window": "5s", "max_size": "100MiB"}).queues[0]

    assert (queue.duplicate_detection_window_s, queue.max_size_mb) == (5.0, 100)


def test_a_name_that_depends_on_events_has_a_hint() -> None:
    with pytest.raises(ConfigError) as tables:
        spec(queue="{table}")
    with pytest.raises(ConfigError) as names:
        spec(queue="{OperationType}")

    assert 'tables = ["dbo.Orders"]' in tables.value.hint
    assert "OperationType of each event" in str(names.value)
    assert "entities = " in names.value.hint


def test_only_settings_unrelated_to_provisioning_are_run_only() -> None:
    marks = {
        name: setting["x-run-only"]
        for name, setting in config_schema(Config)["$defs"]["Config"]["properties"].items()
        if "x-run-only" in setting
    }
    always = "body message_id session partition_key subject properties time_to_live batch concurrency retry"
    in_arm = "connection_string connectionString credential tenant_id client_id client_secret admin_connection_string"
    assert {name for name, mark in marks.items() if mark is True} == {
        *always.split(),
        *("on_oversize", "dead_letter", "expected_rate", "expected_row_size"),
    }
    assert {name for name, mark in marks.items() if mark == {"mode": "arm"}} == {*in_arm.split(), "ca_file"}
    assert config_schema(Config)["$defs"]["Config"]["properties"]["mode"]["default"] == "arm"


def test_partitioning_is_possible_without_duplicate_detection() -> None:
    (queue,) = spec(entity={"partitioning": True, "duplicate_detection": False}).queues
    assert queue == Queue(name="orders", partitioning=True, duplicate_detection=False)
    assert spec(sku="Basic", entity={"partitioning": True}).queues == (Queue(name="orders", partitioning=True),)


def test_a_created_namespace_and_group_are_protected_unless_switched_off() -> None:
    created = {"create_namespace": True, "create_resource_group": True, "location": "westeurope"}
    for settings, protects in (({}, True), ({"protect_namespace": False}, False)):
        made = spec(**created, **settings)
        assert made.namespace is not None
        assert made.resource_group is not None
        assert (made.namespace.protect, made.resource_group.protect) == (protects, protects)
        assert made.queues[0].protect is False


def test_ignored_changes_belong_to_the_namespace_an_entity_or_a_subscription() -> None:
    made = topics(
        create_namespace=True,
        create_resource_group=True,
        location="westeurope",
        ignore_changes=["capacity", "tags.policy"],
        entity={"ignore_changes": ["max_size"]},
        subscriptions=[{"name": "audit", "ignore_changes": ["maxDeliveryCount"]}],
    )
    assert made.namespace is not None
    assert made.resource_group is not None
    assert made.namespace.ignore_changes == ("sku.capacity", "tags.policy")
    assert made.resource_group.ignore_changes == ("tags.policy",)
    assert made.topics[0].ignore_changes == ("maxSizeInMegabytes",)
    assert made.topics[0].subscriptions[0].ignore_changes == ("maxDeliveryCount",)


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"create_namespace": True, "location": "x", "ignore_changes": ["capcity"]}, "ignore_changes"),
        ({"entity": {"ignore_changes": ["capcity"]}}, "entity.ignore_changes"),
        ({"entities": {"orders": {"ignore_changes": ["capcity"]}}}, "entities.orders.ignore_changes"),
    ],
)
def test_an_unknown_property_to_ignore_is_refused_with_the_valid_names(settings: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError, match='no property "capcity" to ignore') as refused:
        spec(**settings)
    assert refused.value.code == "servicebus.unknown_property"
    assert refused.value.config_path == path
    assert "Valid names:" in (refused.value.hint or "")


def test_an_existing_namespace_has_no_changes_to_ignore() -> None:
    with pytest.raises(ConfigError, match="ignore_changes only applies to a namespace that DStream creates"):
        spec(ignore_changes=["tags"])


def test_a_role_is_assigned_on_each_entity_or_on_one_subscription() -> None:
    built = spec(
        queue=None,
        topic="{table}",
        tables=["a", "b"],
        subscriptions=[{"name": "audit"}, {"name": "eu", "topics": ["b"]}],
        role_assignments=[
            {"role": "Sender", "principal_id": PRINCIPAL.upper()},
            {"role": "Receiver", "principal_id": PRINCIPAL, "entity": "a", "subscription": "audit"},
            {"role": "Receiver", "principal_id": PRINCIPAL, "subscription": "eu", "principal_type": "Group"},
        ],
    )

    assert built.role_assignments == (
        RoleAssignment(role="Sender", principal_id=PRINCIPAL, topic="a"),
        RoleAssignment(role="Sender", principal_id=PRINCIPAL, topic="b"),
        RoleAssignment(role="Receiver", principal_id=PRINCIPAL, topic="a", subscription="audit"),
        RoleAssignment(role="Receiver", principal_id=PRINCIPAL, topic="b", subscription="eu", principal_type="Group"),
    )


@pytest.mark.parametrize(
    ("assignment", "code", "path"),
    [
        ({"principal_id": "me"}, "bad_name", "role_assignments[0].principal_id"),
        ({"entity": "event"}, "unknown_entity", "role_assignments[0].entity"),
        ({"subscription": "audit"}, "not_of_kind", "role_assignments[0].subscription"),
        ({"role": "Receiver", "subscription": "audits"}, "unknown_entity", "role_assignments[0].subscription"),
        ({"entity": "events"}, "duplicate_name", "role_assignments[1]"),
    ],
)
def test_an_impossible_role_assignment_is_refused(assignment: dict[str, Any], code: str, path: str) -> None:
    sender = {"role": "Sender", "principal_id": PRINCIPAL}
    with pytest.raises(ConfigError) as refused:
        topics(subscriptions=[{"name": "audit"}], role_assignments=[{**sender, **assignment}, sender])

    assert (refused.value.code, refused.value.config_path) == (f"servicebus.{code}", path)


def test_a_queue_has_no_subscriptions_to_assign_roles_on() -> None:
    receiver = {"role": "Receiver", "principal_id": PRINCIPAL, "subscription": "audit"}
    with pytest.raises(ConfigError, match="a queue has no subscriptions"):
        spec(role_assignments=[receiver])


IDENTITY = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-sb"
KEY_URL = "https://kv-retail.vault.azure.net/keys/sb"


def test_a_key_in_key_vault_encrypts_a_premium_namespace() -> None:
    version = "0123456789abcdef0123456789abcdef"
    for url, wanted in ((KEY_URL, ""), (f"{KEY_URL}/{version}", version)):
        built = spec(**NEW, sku="Premium", customer_managed_key={"key": url, "identity": IDENTITY})
        assert built.namespace is not None
        assert built.namespace.customer_managed_key == CustomerManagedKey(
            vault="https://kv-retail.vault.azure.net", name="sb", version=wanted, identity=IDENTITY
        )


@pytest.mark.parametrize(
    ("settings", "code", "path"),
    [
        ({**NEW, "sku": "Standard"}, "not_in_tier", "customer_managed_key"),
        ({}, "unused_setting", "customer_managed_key"),
        ({**NEW, "sku": "Premium", "key": "kv-retail/sb"}, "bad_name", "customer_managed_key.key"),
        ({**NEW, "sku": "Premium", "identity": "id-sb"}, "bad_name", "customer_managed_key.identity"),
    ],
)
def test_an_impossible_customer_managed_key_is_refused(settings: dict[str, Any], code: str, path: str) -> None:
    key = {
        "key": KEY_URL,
        "identity": IDENTITY,
        **{name: settings[name] for name in ("key", "identity") if name in settings},
    }
    others = {name: value for name, value in settings.items() if name not in key}
    with pytest.raises(ConfigError) as refused:
        spec(**others, customer_managed_key=key)
    assert (refused.value.code, refused.value.config_path) == (f"servicebus.{code}", path)


def test_the_logs_of_a_created_namespace_go_to_a_workspace() -> None:
    workspace = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.OperationalInsights/workspaces/logs"
    built = spec(**NEW, log_analytics_workspace=workspace)
    assert built.namespace is not None
    assert built.namespace.log_analytics_workspace == workspace
    with pytest.raises(ConfigError, match="not a valid name for a Log Analytics workspace"):
        spec(**NEW, log_analytics_workspace="logs")
