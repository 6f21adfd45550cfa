"""What arrives over real links to the sandbox's broker."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusClient
from cloudevents.core.bindings.amqp import AMQPMessage, from_amqp_event
from dstream_servicebus.publish import sdk_batch

from dstream.errors import DataError
from tests.integration.servicebus.broker import Broker, bodies, event, publishing


def test_events_arrive_byte_for_byte_in_order_with_their_ids(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name())
    lines = [event(n, Name="Ä" * (n % 50)) for n in range(5000)]

    with publishing(calm, queue) as run:
        run.publish(lines)

    messages = calm.receive(queue, len(lines))
    assert bodies(messages) == lines
    assert [message.message_id for message in messages] == [f"dbo.Cars/{n}" for n in range(5000)]
    assert {(message.subject, message.content_type) for message in messages} == {("dbo.Cars", "application/json")}
    assert not run.logs("servicebus.slow_path")
    assert run.counted("messages_sent", entity=queue) == 5000
    assert sum(map(len, lines)) < run.counted("bytes_sent") < 2 * sum(map(len, lines))
    assert 1 < run.counted("sends") < 50
    assert run.counted("send_seconds") > 0


def test_batches_are_split_at_the_links_limit(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name())
    lines = [event(n, Note="x" * 60_000) for n in range(20)]

    with publishing(calm, queue) as run:
        run.publish(lines)

    assert bodies(calm.receive(queue, len(lines))) == lines


def test_original_settings_publish_to_the_original_queues(calm: Broker, new_name: Callable[[], str]) -> None:
    host = new_name()
    for table in ("cars", "persons"):
        calm.create_queue(f"{host}-test-db-{table}")
    settings = {
        "connection_string": None,
        "connectionString": calm.connection_string,
        "resourceGroup": "rg",
        "namespace": "sb",
        "sourceHost": host.upper(),
        "sourceDatabase": "TestDB",
        "tables": ["dbo.Cars", "Persons"],
    }
    cars, persons = ([event(n, table) for n in range(50)] for table in ("Cars", "Persons"))

    with publishing(calm, **settings) as run:
        run.publish([line for pair in zip(cars, persons, strict=True) for line in pair])

    assert bodies(calm.receive(f"{host}-test-db-cars", 50)) == cars
    assert bodies(calm.receive(f"{host}-test-db-persons", 50)) == persons


def test_an_entity_can_appear_with_its_first_event(calm: Broker, new_name: Callable[[], str]) -> None:
    prefix = new_name()
    calm.create_queue(f"{prefix}-cars")

    with publishing(calm, f"{prefix}-{{table}}") as run:
        run.publish([event(1)])

    assert bodies(calm.receive(f"{prefix}-cars", 1)) == [event(1)]


@pytest.mark.parametrize("partitioning", [False, True])
def test_each_table_has_an_ordered_session(calm: Broker, new_name: Callable[[], str], partitioning: bool) -> None:
    queue = calm.create_queue(new_name(), requires_session=True, enable_partitioning=partitioning)
    tables = ["dbo.A", "dbo.B", "dbo.C"]
    lines = [event(n, tables[n % 3]) for n in range(3000)]

    with publishing(calm, queue, session="table", admin_connection_string=None) as run:
        for start in range(0, 3000, 100):
            run.publish(lines[start : start + 100])

    assert calm.receive_sessions(queue, 3, 1000) == {
        table: [line for line in lines if table.encode() in line] for table in tables
    }


def test_each_row_can_have_its_own_session(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name(), requires_session=True)
    lines = [event(n % 4, Version=n) for n in range(40)]

    with publishing(calm, queue, session="key", message_id="{Id}") as run:
        run.publish(lines)

    assert calm.receive_sessions(queue, 4, 10) == {f"dbo.Cars/{key}": lines[key::4] for key in range(4)}


def test_duplicate_detection_drops_repeats(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name(), requires_duplicate_detection=True)
    lines = [event(n) for n in range(100)]

    for _ in range(2):
        with publishing(calm, queue) as run:
            run.publish(lines)

    assert bodies(calm.receive(queue, 100)) == lines


def test_topics_are_published_to_like_queues(calm: Broker, new_name: Callable[[], str]) -> None:
    topic = new_name()
    with calm.administration() as administration:
        administration.create_topic(topic)
        administration.create_subscription(topic, "all")
    lines = [event(n) for n in range(10)]

    with publishing(calm, topic=topic, properties={"operation": "{OperationType}"}) as run:
        run.publish(lines)

    messages = calm.receive_subscription(topic, "all", 10)
    assert bodies(messages) == lines
    assert messages[0].application_properties == {b"operation": b"Insert"}


def test_data_only_bodies_and_time_to_live_are_sent(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name())

    with publishing(calm, queue, body="data", time_to_live="1h") as run:
        run.publish([event(1, Name="Ada")])

    (message,) = calm.receive(queue, 1)
    assert bodies([message]) == [b'{"Id": 1, "Name": "Ada"}']
    assert message.time_to_live is not None
    assert message.time_to_live.total_seconds() == 3600


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_cloud_events_are_read_by_the_official_package(mode: str, calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name())
    cloud_events = {"source": "//sql01/Shop", "mode": mode}

    with publishing(calm, queue, body="cloudevents", cloudevents=cloud_events) as run:
        run.publish([event(n) for n in range(3)])

    received = calm.receive(queue, 3)
    events = [
        from_amqp_event(
            AMQPMessage(
                {"content-type": message.content_type},
                {name.decode(): value.decode() for name, value in (message.application_properties or {}).items()},
                b"".join(message.body),
            )
        )
        for message in received
    ]
    assert [each.get_id() for each in events] == [message.message_id for message in received]
    assert {(each.get_source(), each.get_type()) for each in events} == {("//sql01/Shop", "dbo.Cars.Insert")}


def test_a_column_can_tell_when_a_message_is_delivered(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name(), requires_duplicate_detection=True)
    times = [None, "2100-01-01T00:00:00Z", "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"]
    lines = [event(n, SendAt=time) for n, time in enumerate(times)]

    with publishing(calm, queue, scheduled="{data.SendAt}") as run:
        run.publish(lines)
        run.publish(lines[1:2])  # a repeat

    assert bodies(calm.receive(queue, 2)) == [lines[0], lines[2]]
    with (
        ServiceBusClient.from_connection_string(calm.connection_string) as client,
        client.get_queue_receiver(queue) as receiver,
    ):
        waiting = receiver.peek_messages(10)
    assert bodies(waiting) == [lines[1], lines[3]]
    assert {str(each.scheduled_enqueue_time_utc) for each in waiting} == {"2100-01-01 00:00:00+00:00"}


def test_sessions_can_follow_a_column(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name(), requires_session=True)
    lines = [event(n, Customer=n % 2) for n in range(40)]

    with publishing(calm, queue, session="{data.Customer}") as run:
        run.publish(lines)

    assert calm.receive_sessions(queue, 2, 20) == {"0": lines[::2], "1": lines[1::2]}


def test_tls_with_a_custom_ca_on_a_custom_port(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name())
    settings = {
        "connection_string": calm.tls_connection_string,
        "admin_connection_string": calm.admin_connection_string,
        "ca_file": calm.ca_file,
    }

    with publishing(calm, queue, **settings) as run:
        run.publish([event(1)])

    assert bodies(calm.receive(queue, 1)) == [event(1)]


def test_an_oversize_event_stops_the_stream_by_default(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name())

    with publishing(calm, queue) as run, pytest.raises(DataError) as caught:
        run.publish([event(1), event(2, Blob="x" * 300_000), event(3)])

    assert caught.value.code == "servicebus.oversize"
    assert "dbo.Cars/2" in caught.value.message
    assert bodies(calm.receive(queue, 1)) == [event(1)]


def test_an_oversize_event_is_kept_in_a_file_on_request(
    calm: Broker, new_name: Callable[[], str], tmp_path: Path
) -> None:
    queue = calm.create_queue(new_name())
    rejected = tmp_path / "rejected.jsonl"
    large = event(2, Blob="x" * 300_000)

    with publishing(calm, queue, on_oversize="dead_letter", dead_letter={"file": str(rejected)}) as run:
        batch = run.publish([event(1), large, event(3)])

    assert batch.rejected == 1
    assert bodies(calm.receive(queue, 2)) == [event(1), event(3)]
    record = json.loads(rejected.read_text())
    assert (record["message_id"], record["entity"], record["event"]) == ("dbo.Cars/2", queue, json.loads(large))


def test_limits_apply_to_compressed_events(calm: Broker, new_name: Callable[[], str], tmp_path: Path) -> None:
    queue = calm.create_queue(new_name())
    rejected = tmp_path / "rejected.jsonl"
    noise = random.Random(1).randbytes(300_000).hex()
    small, large, larger = event(1), event(2, Blob="x" * 300_000), event(3, Blob=noise)

    with publishing(
        calm, queue, compression="gzip", on_oversize="dead_letter", dead_letter={"file": str(rejected)}
    ) as run:
        batch = run.publish([small, large, larger])

    messages = calm.receive(queue, 2)
    encodings = [message.raw_amqp_message.properties.content_encoding for message in messages]
    assert encodings == [None, b"gzip"]
    assert [bodies(messages)[0], gzip.decompress(bodies(messages)[1])] == [small, large]
    assert batch.rejected == 1
    assert json.loads(rejected.read_text())["event"]["data"]["Blob"] == noise


def test_a_message_larger_than_a_batch_is_sent_alone_if_the_tier_allows(tmp_path: Path) -> None:
    premium = Broker(tmp_path, "--profile", "premium").start()
    queue = premium.create_queue("large", max_message_size_in_kilobytes=102_400)
    lines = [event(1), event(2, Blob="x" * 3_000_000), event(3)]

    with publishing(premium, queue) as run:
        run.publish(lines)

    assert bodies(premium.receive(queue, 3)) == lines
    premium.stop()


def test_the_public_path_sends_the_same_as_the_fast_path(
    calm: Broker, new_name: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sdk_batch, "choose_fill", lambda: (sdk_batch.fill_public, "the SDK is a different version"))
    queue = calm.create_queue(new_name())
    lines = [event(n, Note="x" * 2000) for n in range(300)]

    with publishing(calm, queue) as run:
        run.publish(lines)

    assert bodies(calm.receive(queue, 300)) == lines
    assert [log["because"] for log in run.logs("servicebus.slow_path")] == ["the SDK is a different version"]
