"""`dstream doctor` opens the entities and compares their settings with the task's, without sending anything."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from dstream_servicebus.config import Config
from dstream_servicebus.provider import ServiceBus

from dstream.sdk import RunOptions, Telemetry, decode_config
from tests.integration.servicebus.broker import Broker


def findings(broker: Broker, *, checkpoint_age: timedelta | None = None, **settings: Any) -> list[tuple[str, str, str]]:
    """The mark, subject and text of each."""
    provider = ServiceBus()
    given = {
        "connection_string": broker.connection_string,
        "admin_connection_string": broker.admin_connection_string,
        "ca_file": broker.ca_file,
    }
    provider.config = decode_config({**given, **settings}, Config)
    provider.telemetry = Telemetry(lambda _: None)
    stored_at = (datetime.now(UTC) - checkpoint_age).isoformat() if checkpoint_age else None
    provider.run = RunOptions(checkpoint_stored_at=stored_at)
    try:
        return [(each.mark, each.subject, each.text) for each in provider.doctor({})]
    finally:
        provider.close()


def test_a_queue_that_suits_the_task(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name(), requires_duplicate_detection=True, requires_session=True)
    opened, settings = findings(calm, queue=queue, session="table")
    assert opened[:2] == settings[:2] == ("ok", f"queue {queue}")
    assert opened[2].startswith("accepts messages of up to ")
    assert settings[2] == "duplicate detection on for 0:10:00"
    with calm.administration() as administration:
        assert administration.get_queue_runtime_properties(queue).total_message_count == 0


def test_what_does_not_suit_it(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name(), requires_session=True)
    _, failure, warning = findings(calm, queue=queue)
    assert failure == (
        "failure",
        f"queue {queue}",
        f'queue "{queue}" requires sessions, but the messages have no session id',
    )
    assert (warning[0], warning[2].partition(":")[0]) == ("warning", "duplicate detection off")


def test_a_checkpoint_older_than_the_detection_window_or_than_the_queue(
    calm: Broker, new_name: Callable[[], str]
) -> None:
    queue = calm.create_queue(new_name(), requires_duplicate_detection=True)
    _, window, younger = findings(calm, queue=queue, checkpoint_age=timedelta(hours=3))
    assert (window[0], younger[0]) == ("warning", "warning")
    assert "on for 0:10:00: the checkpoint is older, 3:00:0" in window[2]
    assert "after the checkpoint was stored" in younger[2]
    assert findings(calm, queue=queue, checkpoint_age=timedelta(minutes=5))[1][0] == "ok"


def test_a_topic_without_subscriptions(calm: Broker, new_name: Callable[[], str]) -> None:
    with calm.administration() as administration:
        topic = administration.create_topic(new_name(), requires_duplicate_detection=True).name
        _, warning, _ = findings(calm, topic=topic)
        administration.create_subscription(topic, "audit")
    assert (warning[0], warning[2].partition(":")[0]) == ("warning", "subscriptions none")
    assert [mark for mark, _, _ in findings(calm, topic=topic)] == ["ok", "ok"]


def test_each_known_entity_has_its_findings(calm: Broker, new_name: Callable[[], str]) -> None:
    prefix = new_name()
    calm.create_queue(f"{prefix}-a", requires_duplicate_detection=True)
    found = findings(calm, queue=f"{prefix}-{{table}}", tables=["dbo.a", "dbo.missing"])
    assert [(mark, subject) for mark, subject, _ in found] == [
        ("ok", f"queue {prefix}-a"),
        ("ok", f"queue {prefix}-a"),
        ("failure", f"queue {prefix}-missing"),
    ]


def test_entities_that_only_the_events_name_cannot_be_checked(calm: Broker) -> None:
    ((mark, subject, text),) = findings(calm, queue="{table}", source_database="sales")
    assert (mark, subject) == ("ok", "entities")
    assert text == "each queue is opened when its first event arrives"
