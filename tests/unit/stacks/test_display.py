from __future__ import annotations

from typing import Any

import pytest
from dstream_stacks.display import label, range_text, shown, text
from dstream_stacks.properties import FOREVER, PROPERTIES, AcceptedRange, Form
from dstream_stacks.resource_ids import OWN_SUBSCRIPTION, QUEUE, ROLE_ASSIGNMENT, RULE
from dstream_stacks.roles import role_definition_id


@pytest.mark.parametrize(
    ("path", "value", "name", "words"),
    [
        ("lockDuration", "PT1H30M", "lock duration", "1h30m"),
        ("defaultMessageTimeToLive", FOREVER, "default time to live", "never"),
        ("maxSizeInMegabytes", 5120, "max size", "5GB"),
        ("maxMessageSizeInKilobytes", 256, "max message size", "256KB"),
        ("maxDeliveryCount", 2000, "max delivery count", "2,000"),
        ("requiresSession", True, "sessions", "on"),
        ("forwardTo", "orders", "forward to", "orders"),
        ("userMetadata", None, "user metadata", "none"),
    ],
)
def test_a_property_is_shown_by_its_setting_and_unit(path: str, value: Any, name: str, words: str) -> None:
    assert (label(QUEUE, path), text(QUEUE, path, value)) == (name, words)
    assert label(OWN_SUBSCRIPTION, path) == name


def test_a_role_is_shown_by_its_name() -> None:
    definition = f"/subscriptions/s{role_definition_id('Sender')}"

    assert label(ROLE_ASSIGNMENT, "roleDefinitionId") == "role"
    assert text(ROLE_ASSIGNMENT, "roleDefinitionId", definition) == "Azure Service Bus Data Sender"
    assert text(ROLE_ASSIGNMENT, "roleDefinitionId", "/providers/other") is None


def test_a_property_outside_the_table_is_left_to_the_caller() -> None:
    assert (label(QUEUE, "status"), text(QUEUE, "status", "Active")) == (None, None)
    assert label(RULE, "lockDuration") is None


def test_every_default_can_be_shown() -> None:
    assert all(shown(each.form, default) for each in PROPERTIES for default in each.defaults)


@pytest.mark.parametrize(
    ("form", "limits", "words"),
    [
        ("duration", AcceptedRange(20, 7 * 86_400), "20s to 7d"),
        ("duration", AcceptedRange(low=300), "5m or more"),
        ("duration", AcceptedRange(high=0.25), "up to 0.25s"),
        ("kilobytes", AcceptedRange(1024, 100 * 1024), "1MB to 100MB"),
        ("count", AcceptedRange(1, 2000), "1 to 2,000"),
        ("flag", AcceptedRange(), ""),
    ],
)
def test_a_range_is_shown_in_the_unit_that_users_write(form: Form, limits: AcceptedRange, words: str) -> None:
    assert range_text(form, limits) == words
