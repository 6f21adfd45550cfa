"""A key that was regenerated in Azure is noticed by comparing it with the recorded one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from dstream_servicebus.infrastructure.key_rotation import regenerated
from dstream_stacks import azure_lookup

T = TypeVar("T")

NAMESPACE = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ServiceBus/namespaces/sb-retail"
IDS = [
    f"{NAMESPACE}/queues/orders",
    f"{NAMESPACE}/queues/orders/authorizationRules/Sender",
    f"{NAMESPACE}/AuthorizationRules/sender",
]


def connection_string(key: str, entity: str = "") -> str:
    return f"Endpoint=sb://x/;SharedAccessKeyName=Sender;SharedAccessKey={key};" + (entity and f"EntityPath={entity}")


def run(question: Callable[[], T]) -> T:
    return question()


@pytest.mark.parametrize(("entity", "rule"), [("orders", IDS[1]), ("ORDERS", IDS[1]), ("", IDS[2])])
def test_the_key_of_the_recorded_rule_is_compared(monkeypatch: pytest.MonkeyPatch, entity: str, rule: str) -> None:
    keys = {rule: connection_string("new=", entity)}
    monkeypatch.setattr(azure_lookup, "connection_string_of", keys.get)
    for key, stale in (("old=", ("connection_string",)), ("new=", ())):
        outputs = {"connection_string": connection_string(key, entity)}
        assert regenerated(IDS, "sb-retail", outputs, run) == stale


def test_a_key_that_is_not_recorded_or_whose_rule_is_gone_is_not_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure_lookup, "connection_string_of", lambda rule: None)
    outputs = {"connection_string": connection_string("old=", "orders")}
    assert regenerated(IDS, "sb-retail", outputs, run) == ()
    assert regenerated([], "sb-retail", outputs, run) == ()
    assert regenerated(IDS, "sb-retail", {"endpoint": "x"}, run) == ()
