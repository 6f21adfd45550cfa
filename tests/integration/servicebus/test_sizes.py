"""Rows of every size around each limit of Service Bus: they arrive unchanged, or are named with the limit that they exceed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dstream_servicebus.publish.batches import MEMBER_BYTES, envelope_bytes
from dstream_servicebus.publish.encoder import Encoder, Head
from dstream_servicebus.publish.message import Message

from tests.integration.servicebus.broker import Broker, bodies, event, publishing

KIB = 1024
KEEP = {"oversize": "dead_letter", "refused": "dead_letter"}


@pytest.fixture(scope="module")
def premium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("premium"), "--profile", "premium").start()
    yield broker
    broker.stop()


def sized(n: int, size: int) -> bytes:
    """An event whose message has this many bytes."""
    head = Encoder(Head("application/json", subject="dbo.Cars"))

    def message(padding: int) -> Message:
        return Message.of(head, f"dbo.Cars/{n}", event(n, Note="x" * padding))

    return message(1000 + size - message(1000).size).body


@pytest.mark.parametrize(
    ("tier", "batch_bytes", "message_bytes"),
    [
        ("calm", 256 * KIB, 256 * KIB),
        ("premium", 1024 * KIB, 1024 * KIB),
        ("premium", 1024 * KIB, 2048 * KIB),
    ],
)
def test_rows_around_the_limits_of_batches_and_messages(
    tier: str,
    batch_bytes: int,
    message_bytes: int,
    request: pytest.FixtureRequest,
    new_name: Callable[[], str],
    tmp_path: Path,
) -> None:
    broker: Broker = request.getfixturevalue(tier)
    large = {"max_message_size_in_kilobytes": message_bytes // KIB} if tier == "premium" else {}
    queue = broker.create_queue(new_name(), **large)
    file = tmp_path / "rejected.jsonl"
    alone = batch_bytes - MEMBER_BYTES - envelope_bytes(Message.of(Encoder(Head("")), "dbo.Cars/10", b""))
    sizes = [alone - 1, alone, alone + 1, batch_bytes - 1, batch_bytes, batch_bytes + 1]
    sizes += [alone // 2 - 5, alone // 2 - 4, alone // 2 - 3, alone // 2]
    sizes += [message_bytes - 1, message_bytes, message_bytes + 1, message_bytes + 64 * KIB + 1]
    lines = [sized(10 + n, size) for n, size in enumerate(sizes)]

    with publishing(broker, queue, on_error=KEEP, dead_letter={"file": str(file)}) as run:
        run.publish(lines)

    good = [line for line, size in zip(lines, sizes, strict=True) if size <= message_bytes]
    assert bodies(broker.receive(queue, len(good))) == good
    records = [json.loads(line) for line in file.read_text().splitlines()]
    assert {record["reason"] for record in records} == {"oversize"}
    assert [record["size"] for record in records] == [size for size in sizes if size > message_bytes]


def test_ids_of_every_length_arrive(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name())
    ids = [letter * length for letter in ("x", "é", "🚗") for length in (1, 63, 64, 65, 127, 128, 129, 500)]
    lines = [json.dumps({"data": {"S": id_}, "metadata": {"Id": id_, "TableName": "T"}}).encode() for id_ in ids]

    with publishing(calm, queue, session="{data.S}", batch={"max_messages": 4}) as run:
        run.publish(lines)

    arrived = calm.receive(queue, len(lines))
    assert set(bodies(arrived)) == set(lines)
    for message in arrived:
        sent = json.loads(b"".join(message.body))["data"]["S"]
        units = len(sent.encode("utf-16-le")) // 2
        assert (message.message_id == sent, message.session_id == sent) == (units <= 128, units <= 128)
    assert len({message.message_id for message in arrived}) == len(ids)


def test_properties_around_their_limits(calm: Broker, new_name: Callable[[], str], tmp_path: Path) -> None:
    queue = calm.create_queue(new_name())
    file = tmp_path / "rejected.jsonl"
    names = ("A", "B", "C")
    each_kib = 32 * KIB
    rest = 64 * KIB - 2 * 30_000 - 300  # of all properties, less ids, names and other fields
    rows: list[tuple[dict[str, str], bool]] = [
        ({"A": "a" * (each_kib - 1)}, True),
        ({"A": "a" * each_kib}, True),
        ({"A": "a" * (each_kib + 1)}, False),
        ({"A": "é" * (each_kib // 2)}, True),
        ({"A": "é" * (each_kib // 2) + "a"}, False),
        ({"A": "a" * 30_000, "B": "b" * 30_000, "C": "c" * rest}, True),
        ({"A": "a" * 30_000, "B": "b" * 30_000, "C": "c" * (rest + 300)}, False),
    ]
    lines = [
        json.dumps({"data": values, "metadata": {"Id": str(n), "TableName": "T"}}).encode()
        for n, (values, _) in enumerate(rows)
    ]
    settings: dict[str, Any] = {"properties": {name: f"{{data.{name}}}" for name in names}, "body": "data"}

    with publishing(calm, queue, on_error=KEEP, dead_letter={"file": str(file)}, **settings) as run:
        run.publish(lines)

    good = [str(n) for n, (_, fits) in enumerate(rows) if fits]
    assert [message.message_id for message in calm.receive(queue, len(good))] == good
    records = [json.loads(line) for line in file.read_text().splitlines()]
    assert [record["message_id"] for record in records] == [str(n) for n, (_, fits) in enumerate(rows) if not fits]
    assert all("Service Bus accepts" in record["detail"] for record in records)
