"""Which Azure subscription the ids of an interrupted init's resources are looked up in."""

from __future__ import annotations

import pytest
from dstream_servicebus.config import Config
from dstream_servicebus.infrastructure.definition import definition
from dstream_stacks import resource_ids as ids

from dstream.infra import Definition
from dstream.sdk import decode_config

INPUTS = {"resourceGroupName": "rg", "namespaceName": "ns", "queueName": "orders"}
RECORDED = "/subscriptions/of-record/resourceGroups/rg/providers/Microsoft.ServiceBus/namespaces/ns"


def defined(**settings: str) -> Definition:
    config = decode_config({"resource_group": "rg", "namespace": "sb-orders", "queue": "orders", **settings}, Config)
    return definition(config, import_existing=False)


def subscription(found: Definition) -> str | None:
    id_ = found.resource_id(ids.QUEUE, INPUTS)
    return id_.split("/")[2] if id_ else None


def test_the_recorded_ids_name_the_subscription_unless_it_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARM_SUBSCRIPTION_ID", "")
    found = defined()
    assert subscription(found) is None
    found.see_ids(["queue/orders", RECORDED])
    assert subscription(found) == "of-record"

    configured = "00000000-0000-0000-0000-000000000001"
    found = defined(subscription_id=configured)
    found.see_ids([RECORDED])
    assert subscription(found) == configured

    monkeypatch.setenv("ARM_SUBSCRIPTION_ID", "of-environment")
    assert subscription(defined()) == "of-environment"
