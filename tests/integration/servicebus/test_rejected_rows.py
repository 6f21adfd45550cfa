"""Rows that cannot be delivered: found in their batch, kept with their reason, while all others arrive in order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from dstream_servicebus.config import Config
from dstream_servicebus.provider import ServiceBus

from dstream.errors import DataError, DStreamError, SystemFault
from dstream.sdk import RunOptions, Telemetry, decode_config
from tests.integration.servicebus.broker import WAIT_S, Broker, bodies, event, publishing

KEEP = {"oversize": "dead_letter", "refused": "dead_letter"}
ARGUMENT_ERROR = "com.microsoft:argument-error"


def poison(broker: Broker, queue: str, rows: Iterable[int], condition: str = ARGUMENT_ERROR) -> None:
    for n in rows:
        broker.fault(kind="reject", condition=condition, entity=queue, message_id=f"dbo.Cars/{n}")


def kept(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_refused_row_is_found_in_its_batch_and_kept_while_the_others_arrive_in_order(
    stormy: Broker, new_name: Callable[[], str], tmp_path: Path
) -> None:
    queue = stormy.create_queue(new_name())
    poison(stormy, queue, (0, 400, 401, 999))
    file = tmp_path / "rejected.jsonl"
    lines = [event(n) for n in range(1000)]

    with publishing(stormy, queue, on_error=KEEP, dead_letter={"file": str(file)}) as run:
        connections = stormy.counters()["connections"]
        batch = run.publish(lines)
        assert stormy.counters()["connections"] == connections, "a refusal costs no connection"

    good = [line for n, line in enumerate(lines) if n not in (0, 400, 401, 999)]
    assert bodies(stormy.receive(queue, len(good))) == good
    assert batch.rejected == 4
    records = kept(file)
    assert [(r["reason"], r["entity"], r["message_id"]) for r in records] == [
        ("refused", queue, f"dbo.Cars/{n}") for n in (0, 400, 401, 999)
    ]
    assert records[0]["event"] == json.loads(lines[0])
    assert ARGUMENT_ERROR in records[0]["detail"]
    assert [log["message_id"] for log in run.logs("servicebus.rejected")] == [r["message_id"] for r in records]


def test_a_refused_row_stops_the_stream_by_default_and_is_named(stormy: Broker, new_name: Callable[[], str]) -> None:
    queue = stormy.create_queue(new_name())
    poison(stormy, queue, [57])
    lines = [event(n) for n in range(100)]

    with publishing(stormy, queue) as run, pytest.raises(DataError, match=r"event dbo\.Cars/57: ") as caught:
        run.publish(lines)

    assert caught.value.code == "servicebus.refused"
    assert bodies(stormy.receive(queue, 57)) == lines[:57]


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ("amqp:unauthorized-access", "servicebus.unauthorized"),
        ("amqp:not-found", "servicebus.entity_not_found"),
        ("com.microsoft:entity-disabled", "servicebus.entity_disabled"),
    ],
)
def test_a_refusal_that_is_not_the_rows_fault_keeps_nothing(
    stormy: Broker, new_name: Callable[[], str], tmp_path: Path, condition: str, code: str
) -> None:
    queue = stormy.create_queue(new_name())
    poison(stormy, queue, [0], condition)
    file = tmp_path / "rejected.jsonl"

    with (
        publishing(stormy, queue, on_error=KEEP, dead_letter={"file": str(file)}) as run,
        pytest.raises(DStreamError) as caught,
    ):
        run.publish([event(0)])

    assert caught.value.code == code
    assert not file.exists()


def test_rows_without_a_valid_destination_are_kept_as_they_came(
    calm: Broker, new_name: Callable[[], str], tmp_path: Path
) -> None:
    prefix = new_name()
    calm.create_queue(f"{prefix}-cars")
    file = tmp_path / "rejected.jsonl"
    nameless = b'{"data": {"Id": 2}, "metadata": {"Id": "two"}}'
    invalid = event(3, "dbo.So, what?")

    with publishing(calm, f"{prefix}-{{table}}", on_error=KEEP, dead_letter={"file": str(file)}) as run:
        batch = run.publish([event(1), nameless, b"no json", invalid, event(4)])

    assert bodies(calm.receive(f"{prefix}-cars", 2)) == [event(1), event(4)]
    assert batch.rejected == 3
    records = kept(file)
    assert [(r["reason"], r["entity"], r["message_id"]) for r in records][::2] == [
        ("unroutable", "", "two"),
        ("unroutable", "", "dbo.So, what?/3"),
    ]
    assert [r.get("event") for r in records] == [json.loads(nameless), None, json.loads(invalid)]


def test_too_large_properties_are_the_rows_fault(calm: Broker, new_name: Callable[[], str], tmp_path: Path) -> None:
    queue = calm.create_queue(new_name())
    file = tmp_path / "rejected.jsonl"
    properties = {name: f"{{{name}}}" for name in ("A", "B", "C")}

    def row(n: int, **metadata: str) -> bytes:
        return json.dumps({"data": {}, "metadata": {"Id": f"{n}", "TableName": "T", **metadata}}).encode()

    lines = [row(1, A="a"), row(2, A="a" * 33_000), row(3, A="a" * 30_000, B="b" * 30_000, C="c" * 9_000), row(4)]
    with publishing(calm, queue, on_error=KEEP, dead_letter={"file": str(file)}, properties=properties) as run:
        batch = run.publish(lines)

    assert bodies(calm.receive(queue, 2)) == [lines[0], lines[3]]
    assert batch.rejected == 2
    assert [(r["reason"], r["message_id"]) for r in kept(file)] == [("unroutable", "2"), ("unroutable", "3")]


def test_a_dead_letter_queue_gets_the_row_as_it_came_with_its_id_and_reason(
    stormy: Broker, new_name: Callable[[], str]
) -> None:
    queue, rejected = stormy.create_queue(new_name()), stormy.create_queue(new_name())
    poison(stormy, queue, [3])
    lines = [event(n) for n in range(8)]

    with publishing(stormy, queue, on_error=KEEP, dead_letter={"queue": rejected}, body="data") as run:
        batch = run.publish([*lines, b"no json"])

    assert batch.rejected == 2
    assert len(stormy.receive(queue, 7)) == 7
    letters = stormy.receive(rejected, 2)
    by_id = {str(letter.message_id): letter for letter in letters}
    assert bodies([by_id["dbo.Cars/3"]]) == [lines[3]]
    found = {key.decode(): value.decode() for key, value in by_id["dbo.Cars/3"].application_properties.items()}
    assert (found["DStreamReason"], found["DStreamEntity"], found["DStreamMessageId"]) == (
        "refused",
        queue,
        "dbo.Cars/3",
    )
    assert {letter.subject for letter in letters} == {"refused", "unroutable"}


def test_a_row_that_is_too_large_for_the_dead_letter_queue_stops_the_stream(
    calm: Broker, new_name: Callable[[], str]
) -> None:
    queue, rejected = calm.create_queue(new_name()), calm.create_queue(new_name())

    with (
        publishing(calm, queue, on_error=KEEP, dead_letter={"queue": rejected}) as run,
        pytest.raises(DataError, match=f'"{rejected}" does not accept event dbo.Cars/1') as caught,
    ):
        run.publish([event(1, Blob="x" * 300_000)])

    assert caught.value.code == "servicebus.dead_letter_refused"


def test_a_missing_dead_letter_queue_shows_before_any_row_is_read(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name())

    with pytest.raises(DStreamError) as caught, publishing(calm, queue, on_error=KEEP, dead_letter={"queue": "none"}):
        pass

    assert (caught.value.code, caught.value.config_path) == ("servicebus.entity_not_found", "dead_letter.queue")


def test_a_row_that_cannot_be_kept_is_not_settled(stormy: Broker, new_name: Callable[[], str], tmp_path: Path) -> None:
    queue = stormy.create_queue(new_name())
    poison(stormy, queue, [1])
    folder = tmp_path / "kept"
    folder.mkdir()

    with publishing(stormy, queue, on_error=KEEP, dead_letter={"file": str(folder / "rejected.jsonl")}) as run:
        folder.rmdir()
        batch, future = run.write([event(1)])
        with pytest.raises(SystemFault, match="cannot write to the dead-letter file"):
            future.result(WAIT_S)

    assert batch.rejected == 0


def test_doctor_says_where_rows_are_kept_and_what_is_missing(
    calm: Broker, new_name: Callable[[], str], tmp_path: Path
) -> None:
    queue = calm.create_queue(new_name())

    def found(place: dict[str, str]) -> list[tuple[str, str]]:
        provider = ServiceBus()
        provider.config = decode_config(
            {"connection_string": calm.connection_string, "queue": queue, "on_error": KEEP, "dead_letter": place},
            Config,
        )
        provider.telemetry, provider.run = Telemetry(lambda _: None), RunOptions()
        findings = [(each.mark, each.text) for each in provider.doctor({}) if each.subject == "dead letters"]
        provider.close()
        return findings

    assert found({"file": str(tmp_path / "rejected.jsonl")}) == [("ok", f"kept in {tmp_path / 'rejected.jsonl'}")]
    assert found({"queue": calm.create_queue(new_name())})[0][0] == "ok"
    assert [mark for mark, _ in found({"file": str(tmp_path / "no" / "file")})] == ["failure"]
    assert [mark for mark, _ in found({"queue": "none"})] == ["failure"]


def test_a_stream_of_nothing_but_rejected_rows_ends(calm: Broker, new_name: Callable[[], str], tmp_path: Path) -> None:
    queue = calm.create_queue(new_name())
    file = tmp_path / "rejected.jsonl"
    settings = {"file": str(file), "max_rows": 3}

    with (
        publishing(calm, queue, on_error=KEEP, dead_letter=settings, session="{Region}") as run,
        pytest.raises(DataError) as caught,
    ):
        run.publish([event(n) for n in range(10)])

    assert caught.value.code == "servicebus.too_many_rejected"
    assert len(kept(file)) == 3


def test_a_link_that_is_refused_is_no_rows_fault(stormy: Broker, new_name: Callable[[], str], tmp_path: Path) -> None:
    queue = stormy.create_queue(new_name())
    file = tmp_path / "rejected.jsonl"

    with publishing(stormy, queue, on_error=KEEP, dead_letter={"file": str(file)}) as run:
        run.publish([event(1)])
        stormy.fault(kind="refuse_attach", condition="amqp:not-allowed", entity=queue)
        stormy.fault(kind="drop", at="idle", entity=queue, times=1)
        with pytest.raises(DStreamError) as caught:
            run.publish([event(2)])

    assert caught.value.code == "servicebus.refused"
    assert "dbo.Cars" not in caught.value.message
    assert not file.exists()
    assert bodies(stormy.receive(queue, 1)) == [event(1)]
