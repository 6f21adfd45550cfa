"""What a task declares, so that no other task can."""

from __future__ import annotations

from typing import Any

import pytest
from dstream_servicebus.config import Config
from dstream_servicebus.specs.claims import claims_of

from dstream.sdk import Claim, decode_config
from dstream.sdk.errors import ConfigError

KEY = "Endpoint=sb://{}/;SharedAccessKeyName=n;SharedAccessKey=hidden="


def claims(**settings: Any) -> list[Claim]:
    return claims_of(decode_config(settings, Config))


def test_a_queue_is_claimed_in_any_mode_and_case() -> None:
    arm = {"resource_group": "rg", "namespace": "SB-Retail", "queue": "Orders"}
    entities = {
        "mode": "entities",
        "connection_string": KEY.format("sb-retail.servicebus.windows.net"),
        "queue": "orders",
    }
    assert claims(**arm) == [Claim("sb-retail/orders", "queue Orders in SB-Retail", "queue")]
    assert [each.id for each in claims(**entities)] == ["sb-retail/orders"]
    assert [each.id for each in claims(**{**entities, "connection_string": KEY.format("localhost:5300")})] == [
        "localhost:5300/orders"
    ]


def test_each_topic_of_a_template_is_claimed() -> None:
    found = claims(resource_group="rg", namespace="sb-retail", topic="shop-{table}", tables=["dbo.A", "dbo.B"])
    assert [each.id for each in found] == ["sb-retail/shop-a", "sb-retail/shop-b"]


@pytest.mark.parametrize("namespace", [{"namespace": "sb-retail"}, {"connection_string": KEY.format("x")}])
def test_a_task_that_only_publishes_claims_nothing(namespace: dict[str, str]) -> None:
    assert claims(queue="orders", **namespace) == []


def test_what_plan_refuses_is_refused() -> None:
    with pytest.raises(ConfigError, match='two subscriptions are named "AUDIT"'):
        claims(
            resource_group="rg", namespace="sb-retail", topic="t", subscriptions=[{"name": "audit"}, {"name": "AUDIT"}]
        )
