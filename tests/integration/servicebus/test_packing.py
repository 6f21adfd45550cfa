"""Packed rows over real links, to consumers that use azure-servicebus and `dstream.sdk.consume`."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusClient

from dstream.sdk.consume import Deduplicator, rows_of
from tests.integration.servicebus.broker import WAIT_S, Broker, event, publishing

TABLES = ["dbo.A", "dbo.B", "dbo.C"]


def consume(broker: Broker, queue: str, session: str, count: int) -> list[bytes]:
    """Handle messages of a session, as docs/reference/sdk.md shows, until `count` rows have been handled."""
    handled: list[bytes] = []
    rows = Deduplicator(max_rows=1000)
    with (
        ServiceBusClient.from_connection_string(broker.connection_string) as client,
        client.get_queue_receiver(queue, session_id=session) as receiver,
    ):
        while batch := receiver.receive_messages(100, max_wait_time=WAIT_S if len(handled) < count else 0.3):
            for message in batch:
                with rows.new_rows(message) as new:
                    handled += [row.line for row in new]
                receiver.complete_message(message)
    return handled


@pytest.mark.parametrize("form", ["ndjson", "array"])
def test_three_consumers_get_every_row_once_and_in_order(form: str, calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name(), requires_session=True, requires_duplicate_detection=True)
    lines = [event(n, TABLES[n % 3]) for n in range(300)]
    packing = {"rows_per_message": 10, "format": form}

    with publishing(calm, queue, session="table", packing=packing, compression="gzip") as run:
        run.publish(lines[:200])
    with publishing(calm, queue, session="table", packing=packing) as run:  # as after a crash: cut differently
        run.publish(lines[100:])

    with ThreadPoolExecutor(3) as pool:
        handled = list(pool.map(lambda table: consume(calm, queue, table, 100), TABLES))
    assert handled == [[line for line in lines if table.encode() in line] for table in TABLES]
    assert run.counted("messages_sent") == 21  # 200 rows of three tables
    assert [log["rows_per_message"] for log in run.logs("servicebus.packing")] == [10]


def test_packing_the_same_rows_again_is_dropped_by_duplicate_detection(
    calm: Broker, new_name: Callable[[], str]
) -> None:
    queue = calm.create_queue(new_name(), requires_duplicate_detection=True)
    lines = [event(n) for n in range(95)]

    for _ in range(2):
        with publishing(calm, queue, packing={"rows_per_message": 10}) as run:
            run.publish(lines)

    received = calm.receive(queue, 10)
    assert [len(rows_of(message)) for message in received] == [10] * 9 + [5]
    assert [row.line for message in received for row in rows_of(message)] == lines


def test_a_row_that_is_too_large_is_rejected_alone(calm: Broker, new_name: Callable[[], str], tmp_path: Path) -> None:
    queue = calm.create_queue(new_name())
    rejected = tmp_path / "rejected.jsonl"
    large = event(2, Blob="x" * 300_000)
    lines = [event(1), large, event(3), event(4)]

    with publishing(
        calm,
        queue,
        packing={"rows_per_message": 10},
        on_oversize="dead_letter",
        dead_letter={"file": str(rejected)},
    ) as run:
        batch = run.publish(lines)

    assert batch.rejected == 1
    received = calm.receive(queue, 2)
    assert [[row.id for row in rows_of(each)] for each in received] == [["dbo.Cars/1"], ["dbo.Cars/3", "dbo.Cars/4"]]
    record = json.loads(rejected.read_text())
    assert (record["message_id"], record["event"]) == ("dbo.Cars/2", json.loads(large))


@pytest.mark.parametrize("condition", ["amqp:link:message-size-exceeded", "com.microsoft:argument-error"])
def test_the_rows_of_a_refused_pack_are_sent_singly_to_find_the_one_at_fault(
    condition: str, stormy: Broker, new_name: Callable[[], str], tmp_path: Path
) -> None:
    queue = stormy.create_queue(new_name())
    rejected = tmp_path / "rejected.jsonl"
    lines = [event(n) for n in range(9)]
    stormy.fault(kind="reject", condition=condition, entity=queue, message_id="dbo.Cars/1")
    stormy.fault(kind="reject", condition=condition, entity=queue, times=2)  # the batch, and its first pack

    with publishing(
        stormy,
        queue,
        packing={"rows_per_message": 3},
        on_error={"oversize": "dead_letter", "refused": "dead_letter"},
        dead_letter={"file": str(rejected)},
    ) as run:
        batch = run.publish(lines)

    assert batch.rejected == 1
    (record,) = map(json.loads, rejected.read_text().splitlines())
    assert (record["message_id"], record["event"]) == ("dbo.Cars/1", json.loads(lines[1]))
    received = [row.line for message in stormy.receive(queue, 4) for row in rows_of(message)]
    assert received == lines[:1] + lines[2:]
