"""Names that `ignore_changes` accepts, also compared with the classes of pulumi_azure_native."""

from __future__ import annotations

import inspect

import pytest
from dstream_stacks.ignorable import Ignoring, ignorable, ignored_path, ignores
from dstream_stacks.inputs import snake_case
from pulumi_azure_native import servicebus

_NAMING = {"resource_group_name", "namespace_name", "queue_name", "topic_name", "subscription_name", "location"}


@pytest.mark.parametrize("kind", ["namespace", "queue", "topic", "subscription"])
def test_every_input_of_azure_native_can_be_ignored(kind: Ignoring) -> None:
    arguments = inspect.signature(getattr(servicebus, f"{kind.title()}Args")).parameters.keys()
    named = {snake_case(path.partition(".")[0]) for path in ignorable(kind, "arm").values()}
    assert named == arguments - _NAMING


@pytest.mark.parametrize(
    ("kind", "given", "path"),
    [
        ("namespace", "capacity", "sku.capacity"),
        ("namespace", "sku.capacity", "sku.capacity"),
        ("namespace", "tags", "tags"),
        ("namespace", 'tags["cost.center"]', 'tags["cost.center"]'),
        ("namespace", "encryption.keySource", "encryption.keySource"),
        ("namespace", "sku.size", None),
        ("namespace", "minimumTlsVersion.x", None),
        ("namespace", "location", None),
        ("namespace", "tags.", None),
        ("queue", "max_delivery_count", "maxDeliveryCount"),
        ("queue", "maxDeliveryCount", "maxDeliveryCount"),
        ("queue", "status", "status"),
        ("queue", "tags", None),
        ("topic", "max_delivery_count", None),
    ],
)
def test_a_name_is_a_setting_or_a_property_in_azure(kind: Ignoring, given: str, path: str | None) -> None:
    assert ignored_path(kind, "arm", given) == path


def test_mode_entities_knows_only_the_settings() -> None:
    assert ignored_path("queue", "entities", "max_delivery_count") == "maxDeliveryCount"
    assert ignored_path("queue", "entities", "status") is None


def test_an_ignored_path_covers_what_is_inside_it() -> None:
    assert ignores(["sku"], "sku.capacity")
    assert ignores(["tags"], 'tags["a.b"]')
    assert not ignores(["sku.capacity"], "sku.name")
    assert not ignores(["tags"], "tagsOf")
