"""What an entity's settings mean for the messages of a task."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from dstream_servicebus.config import Config, routing
from dstream_servicebus.publish.entity_checks import advice_on_younger, check_entity, remarks
from dstream_servicebus.publish.inspection import Inspected

from dstream.errors import ConfigError
from dstream.sdk import decode_config

WINDOW = timedelta(minutes=10)


def topics(found: Inspected, **settings: Any) -> list[str]:
    """What the task is told, except that all is well."""
    entity = {} if "topic" in settings else {"queue": "q"}
    given = routing(decode_config({"connection_string": "x", **entity, **settings}, Config))
    return [each.topic for each in remarks(found, given) if each.message]


@pytest.mark.parametrize("settings", [{"session": "table"}, {"partition_key": "{TableName}"}])
def test_only_a_session_or_partition_key_keeps_the_order_in_an_entity_with_partitions(settings: dict[str, str]) -> None:
    partitioned = Inspected("on", WINDOW, requires_session=True, partitioning=True)

    assert topics(partitioned) == ["partitioning"]
    assert topics(partitioned, **settings) == []


def test_a_topic_without_subscriptions_keeps_nothing() -> None:
    assert topics(Inspected("on", WINDOW, subscriptions=0), topic="t") == ["subscriptions"]
    assert topics(Inspected("on", WINDOW, subscriptions=1), topic="t") == []
    assert topics(Inspected("on", WINDOW), topic="t") == []


def test_batches_for_partitions_with_duplicate_detection_need_one_key() -> None:
    found = Inspected("on", WINDOW, partitioning=True)

    with pytest.raises(ConfigError, match="refuses batches"):
        check_entity(found, routing(decode_config({"connection_string": "x", "queue": "q"}, Config)), "q")
    keyed = {"connection_string": "x", "queue": "q", "session": "key"}
    check_entity(found, routing(decode_config(keyed, Config)), "q")


def test_changes_for_a_new_subscription_have_to_wait_for_the_topics_duplicate_detection() -> None:
    found = Inspected("on", WINDOW)

    assert "not before 0:10:00 has passed" in advice_on_younger(found, ["t/audit"], "t")
    assert "not before" not in advice_on_younger(found, ["t", "t/audit"], "t")
    assert "not before" not in advice_on_younger(Inspected("off"), ["t/audit"], "t")
