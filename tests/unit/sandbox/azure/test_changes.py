from __future__ import annotations

from typing import Any

import pytest
from dstream_sandbox.azure.changes import changes
from dstream_sandbox.azure.resource_types import FOREVER, TYPES
from dstream_sandbox.azure.values import UNKNOWN

_QUEUE = TYPES["azure-native:servicebus:Queue"]
_NAMES = {"resourceGroupName": "rg", "namespaceName": "ns-one", "queueName": "orders"}


def _changes(kind: str, old: dict[str, Any], new: dict[str, Any], **defaults: object) -> dict[str, str]:
    found = changes(TYPES[f"azure-native:{kind}"], old, new, defaults)
    return {each.path: each.how + ("-replace" if each.replaces else "") for each in found}


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({}, {}, {}),
        ({"lockDuration": "PT1M"}, {"lockDuration": "PT60S"}, {}),
        ({"lockDuration": "PT1M"}, {"lockDuration": "PT61S"}, {"lockDuration": "update"}),
        ({}, {"lockDuration": "PT2M"}, {"lockDuration": "add"}),
        ({"lockDuration": "PT2M"}, {}, {"lockDuration": "delete"}),
        ({}, {"lockDuration": "PT60S", "maxDeliveryCount": 10, "requiresSession": False}, {}),
        ({"maxDeliveryCount": 5}, {"maxDeliveryCount": 5.0}, {}),
        ({"defaultMessageTimeToLive": FOREVER}, {"defaultMessageTimeToLive": "P10675199DT2H48M5.477539S"}, {}),
        ({}, {"requiresSession": True}, {"requiresSession": "add-replace"}),
        ({"requiresSession": True}, {}, {"requiresSession": "delete-replace"}),
        ({}, {"requiresDuplicateDetection": True}, {"requiresDuplicateDetection": "add-replace"}),
        ({"enablePartitioning": False}, {"enablePartitioning": True}, {"enablePartitioning": "update-replace"}),
        ({}, {"resourceGroupName": "RG"}, {}),  # the only name whose case azure-native ignores (its pull request 2910)
        (
            {},
            {"queueName": "ORDERS", "namespaceName": "NS-ONE"},
            {"queueName": "update-replace", "namespaceName": "update-replace"},
        ),
        ({}, {"queueName": "bills"}, {"queueName": "update-replace"}),
        ({}, {"namespaceName": UNKNOWN}, {"namespaceName": "update-replace"}),
        ({"forwardTo": "a"}, {"forwardTo": UNKNOWN}, {"forwardTo": "update"}),
        ({"userMetadata": ""}, {}, {}),
    ],
)
def test_changes_of_a_queue(old: dict[str, Any], new: dict[str, Any], found: dict[str, str]) -> None:
    assert _changes("servicebus:Queue", {**_NAMES, **old}, {**_NAMES, **new}) == found


def test_changed_sessions_of_a_subscription_are_left_for_azure_to_refuse() -> None:
    assert _changes("servicebus:Subscription", {}, {"requiresSession": True}) == {"requiresSession": "add"}


def test_nested_properties_and_tags_are_reported_individually() -> None:
    old = {"sku": {"name": "Standard"}, "tags": {"team": "a", "old": "x", "with.dot": "1"}}
    new = {"sku": {"name": "Basic", "tier": "Basic"}, "tags": {"team": "b", "new": "y", "with.dot": "2"}}
    assert _changes("servicebus:Namespace", old, new) == {
        "sku.name": "update",
        "sku.tier": "add",
        "tags.new": "add",
        "tags.old": "delete",
        "tags.team": "update",
        'tags["with.dot"]': "update",
    }


def test_the_tier_defaults_to_the_sku_name_and_the_sku_to_standard() -> None:
    for sku in (None, {"name": "Standard"}, {"name": "Standard", "tier": "Standard"}):
        assert _changes("servicebus:Namespace", {}, {"sku": sku} if sku else {}) == {}
    assert _changes("servicebus:Namespace", {}, {"sku": {"name": "Basic"}}) == {"sku": "add"}


def test_locations_are_compared_ignoring_spaces_and_case() -> None:
    assert _changes("resources:ResourceGroup", {"location": "West Europe"}, {"location": "westeurope"}) == {}
    moved = _changes("resources:ResourceGroup", {"location": "West Europe"}, {"location": "uksouth"})
    assert moved == {"location": "update-replace"}


def test_the_order_of_rights_does_not_matter() -> None:
    kind = "servicebus:NamespaceAuthorizationRule"
    assert _changes(kind, {"rights": ["Send", "Listen"]}, {"rights": ["Listen", "Send"]}) == {}
    assert _changes(kind, {"rights": ["Send"]}, {"rights": ["Listen", "Send"]}) == {"rights": "update"}


def test_a_default_of_the_tier_is_not_a_change() -> None:
    new = {"maxMessageSizeInKilobytes": 1024}
    assert _changes("servicebus:Queue", {}, new) == {"maxMessageSizeInKilobytes": "add"}
    assert _changes("servicebus:Queue", {}, new, maxMessageSizeInKilobytes=1024) == {}


def test_an_unknown_object_is_a_change() -> None:
    assert _changes("servicebus:Rule", {}, {"sqlFilter": UNKNOWN}) == {"sqlFilter": "add"}
    assert _changes("servicebus:Rule", {}, {"sqlFilter": {"sqlExpression": "1=1", "requiresPreprocessing": True}}) == {}


def test_a_change_inside_a_container_has_its_path() -> None:
    old = {"template": {"containers": [{"image": "a:1", "name": "app"}], "volumes": [{}]}}
    new = {"template": {"containers": [{"image": "a:2", "name": "app"}], "volumes": []}}
    found = _changes("app:ContainerApp", old, new)
    assert found == {"template.containers[0].image": "update", "template.volumes": "update"}
