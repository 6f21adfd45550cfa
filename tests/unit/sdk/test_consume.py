from __future__ import annotations

import json
from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage

from dstream.sdk.consume import Deduplicator, rows_of


def message(*ids: str, message_id: str = "m") -> ServiceBusMessage:
    """A pack of rows with these ids."""
    lines = [json.dumps({"data": {}, "metadata": {"Id": each}}) for each in ids]
    return ServiceBusMessage("\n".join(lines), message_id=message_id, content_type="application/x-ndjson")


def handled(rows: Deduplicator, received: ServiceBusMessage) -> list[str]:
    with rows.new_rows(received) as new:
        return [row.id for row in new]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ('{"data":{"Id":1},"metadata":{"Id":"other"}}', "application/json"),
        ('{"id":"7","Name":"a column named like an attribute"}', "application/json"),
        ('[{"tag":"a"},{"tag":"b"}]', "application/json"),
        ("[]", "application/json"),
        ('{"specversion":"1.0","id":"m"}', "application/cloudevents+json; charset=utf-8"),
        ('"text"', "application/json"),
        ("not JSON", None),
    ],
)
def test_a_message_that_is_no_pack_is_one_row_with_the_messages_id(body: str, content_type: str | None) -> None:
    (row,) = rows_of(ServiceBusMessage(body, message_id="m", content_type=content_type))

    assert (row.id, row.line) == ("m", body.encode())


def test_a_row_decodes_its_event() -> None:
    (row,) = rows_of(message("a"))

    assert row.event == {"data": {}, "metadata": {"Id": "a"}}


@pytest.mark.parametrize("metadata", [{}, {"Id": None}, {"Id": ""}, None])
def test_a_packed_row_without_an_id_has_one_from_its_bytes(metadata: Any) -> None:
    lines = [json.dumps({"data": {"n": n}, "metadata": metadata}) for n in (1, 2, 1)]
    body = ServiceBusMessage(f"[{','.join(lines)}]", message_id="m", content_type="application/json")

    first, other, same = rows_of(body)

    assert first.id == same.id != other.id
    assert len(first.id) == 32


def test_rows_of_a_pack_that_was_cut_differently_are_dropped() -> None:
    rows = Deduplicator()

    assert handled(rows, message("1", "2", "3")) == ["1", "2", "3"]
    assert handled(rows, message("2", "3", "4", message_id="n")) == ["4"]
    assert handled(rows, message("5", "5")) == ["5"]


def test_rows_whose_handling_failed_come_again() -> None:
    rows = Deduplicator()

    with pytest.raises(ZeroDivisionError), rows.new_rows(message("1", "2")):
        raise ZeroDivisionError

    assert handled(rows, message("1", "2")) == ["1", "2"]


def test_memory_is_bounded_and_the_oldest_row_leaves_first() -> None:
    rows = Deduplicator(max_rows=2)

    handled(rows, message("1", "2", "3"))

    assert handled(rows, message("2", "3")) == []
    assert handled(rows, message("1")) == ["1"]
    assert len(rows._known) == len(rows._order) == 2
    with pytest.raises(ValueError, match="at least 1"):
        Deduplicator(0)
