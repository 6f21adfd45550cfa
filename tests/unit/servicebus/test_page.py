"""docs/reference/providers/servicebus.md is accurate: its examples work, and it names every setting."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from dstream_servicebus.config import Config
from dstream_servicebus.settings.infrastructure import (
    AuthorizationRuleSettings,
    CorrelationSettings,
    CustomerManagedKeySettings,
    EntitySettings,
    NetworkRulesSettings,
    PrivateEndpointSettings,
    RoleAssignmentSettings,
    RuleSettings,
    SubscriptionSettings,
)
from dstream_servicebus.settings.messages import CloudEvents, Packing
from dstream_servicebus.settings_table import with_table
from dstream_servicebus.specs.provision import spec_of

from dstream.config import load
from dstream.sdk import decode_config

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "providers" / "servicebus.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```hcl\n(task .*?)```", PAGE, re.DOTALL)
ENVIRON = {"MSSQL_CONNECTION_STRING": "a", "ASB_CONNECTION_STRING": "b"}


def output_of(example: str, folder: Path) -> Config:
    (folder / "dstream.hcl").write_text(example)
    (task,) = load(folder / "dstream.hcl", environ=ENVIRON).tasks.values()
    return decode_config(dict(task.output.config), Config)


def test_the_publishing_example_has_valid_settings(tmp_path: Path) -> None:
    assert output_of(EXAMPLES[0], tmp_path).queue == "shop-{table}"


def test_the_infrastructure_example_provisions_what_it_shows(tmp_path: Path) -> None:
    spec = spec_of(output_of(EXAMPLES[1], tmp_path))

    orders, customers = spec.topics
    assert (orders.name, orders.protect, customers.protect) == ("shop-orders", True, False)
    assert (orders.duplicate_detection_window_s, orders.max_size_mb) == (1800.0, 5120)
    assert [each.name for each in orders.subscriptions] == ["audit", "inserts"]
    assert [each.name for each in customers.subscriptions] == ["audit"]
    assert orders.subscriptions[0].sessions is True
    assert [(each.role, each.topic, each.subscription) for each in spec.role_assignments] == [
        ("Sender", "shop-orders", ""),
        ("Sender", "shop-customers", ""),
        ("Receiver", "shop-orders", "inserts"),
    ]


@pytest.mark.parametrize(
    "settings",
    [
        Config,
        CloudEvents,
        EntitySettings,
        SubscriptionSettings,
        RuleSettings,
        CorrelationSettings,
        CustomerManagedKeySettings,
        NetworkRulesSettings,
        Packing,
        PrivateEndpointSettings,
        AuthorizationRuleSettings,
        RoleAssignmentSettings,
    ],
)
def test_the_page_names_every_setting(settings: type[msgspec.Struct]) -> None:
    words = set(re.findall(r"\w+", PAGE))

    assert {field.encode_name for field in msgspec.structs.fields(settings)} <= words


def test_the_table_of_entity_settings_is_up_to_date() -> None:
    command = "python -m dstream_servicebus.settings_table docs/reference/providers/servicebus.md"
    assert with_table(PAGE) == PAGE, f"run {command}"


def test_a_page_without_the_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="both markers"):
        with_table("# Output provider")
