"""The queues and topics of a task, and the settings that are refused."""

from __future__ import annotations

from typing import Any

import pytest
from dstream_servicebus.config import Config
from dstream_servicebus.specs.provision import expected_load, spec_of
from dstream_stacks.capacity import Load
from dstream_stacks.spec import Queue, as_document

from dstream.errors import ConfigError
from dstream.sdk import config_schema, decode_config
from tests.unit.servicebus.specs import KEY, NEW, PLACE, entities, spec


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


def test_import_and_protect_apply_to_every_resource() -> None:
    built = spec(protect=True, retain_on_delete=True, **{"import": True})

    assert built.import_existing
    assert built.namespace is not None
    for each in (built.namespace, *built.queues):
        assert (each.protect, each.retain_on_delete, each.import_) == (True, True, True)
    assert spec_of(decode_config({**PLACE, "queue": "orders"}, Config), import_existing=True).import_existing


def test_the_expected_load_is_rows_per_second_and_bytes_per_row() -> None:
    settings = {**PLACE, "queue": "orders"}

    assert expected_load(decode_config(settings, Config)) is None
    assert expected_load(
        decode_config({**settings, "expected_rate": 200, "expected_row_size": "1KiB"}, Config)
    ) == Load(200, 1024)
    packed = {**settings, "expected_rate": 200, "packing": {"rows_per_message": 10}}
    assert expected_load(decode_config(packed, Config)) == Load(200, rows_per_message=10)


def test_the_spec_contains_no_secret() -> None:
    assert "hidden" not in str(as_document(spec(connection_string=KEY)))


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
        ({**NEW, "sku": "Premium", "premium_messaging_partitions": 2}, "servicebus.no_batches", "entity.duplicate_detection"),
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
    always = (
        "body cloudevents message_id session partition_key subject properties time_to_live scheduled "
        "packing compression compression_threshold batch concurrency retry"
    )
    in_arm = "connection_string connectionString credential tenant_id client_id client_secret admin_connection_string"
    assert {name for name, mark in marks.items() if mark is True} == {
        *always.split(),
        *("on_error", "on_oversize", "dead_letter", "expected_rate", "expected_row_size"),
    }
    assert {name for name, mark in marks.items() if mark == {"mode": "arm"}} == {
        *in_arm.split(),
        *("ca_file", "transport", "proxy", "custom_endpoint", "allow_plaintext"),
    }
    assert config_schema(Config)["$defs"]["Config"]["properties"]["mode"]["default"] == "arm"


def test_partitioning_is_possible_without_duplicate_detection() -> None:
    (queue,) = spec(entity={"partitioning": True, "duplicate_detection": False}).queues
    assert queue == Queue(name="orders", partitioning=True, duplicate_detection=False)
    assert spec(sku="Basic", entity={"partitioning": True}).queues == (Queue(name="orders", partitioning=True),)


def test_a_session_makes_batches_possible_in_a_namespace_with_partitions() -> None:
    premium = {**NEW, "sku": "Premium", "premium_messaging_partitions": 2}
    assert spec(**premium, session="table").queues[0].duplicate_detection
    assert spec(**premium, partition_key="{TableName}").queues[0].duplicate_detection
    assert not spec(**premium, entity={"duplicate_detection": False}).queues[0].duplicate_detection
