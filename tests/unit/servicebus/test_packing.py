"""Rows packed into messages, as a consumer reads them with azure-servicebus and `dstream.sdk.consume`."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from dstream_servicebus.config import Config
from dstream_servicebus.infrastructure.definition import definition
from dstream_servicebus.publish.compression import compressed
from dstream_servicebus.publish.encoder import Encoder, Head
from dstream_servicebus.publish.message import Message
from dstream_servicebus.publish.packing import MAX_PACK_BYTES, packed
from dstream_servicebus.publish.sdk_batch import to_sdk_message
from dstream_servicebus.settings.messages import Packing
from hypothesis import given
from hypothesis import strategies as st

from dstream.sdk import decode_config
from dstream.sdk.consume import rows_of
from tests.unit.servicebus.messages import PLAIN
from tests.unit.servicebus.specs import PLACE

FORMATS = pytest.mark.parametrize("form", ["ndjson", "array"])
Format = Literal["ndjson", "array"]


def row(row_id: str, encoder: Encoder = PLAIN, note: str = "") -> Message:
    event = {"data": {"Note": note}, "metadata": {"Id": row_id}}
    return Message.of(encoder, row_id, json.dumps(event).encode())


def ids(pack: Message) -> list[str]:
    return [each.id for each in rows_of(to_sdk_message(pack))]


@FORMATS
@given(
    rows=st.lists(st.tuples(st.text(min_size=1, max_size=20), st.text(max_size=40)), max_size=30),
    rows_per_message=st.integers(1, 12),
    min_bytes=st.sampled_from([0, 1 << 20]),
)
def test_a_consumer_gets_the_rows_in_order(
    form: Format, rows: list[tuple[str, str]], rows_per_message: int, min_bytes: int
) -> None:
    made = [row(row_id, note=note) for row_id, note in rows]

    packs = [compressed(each, min_bytes) for each in packed(made, Packing(rows_per_message, form))]

    received = [each for pack in packs for each in rows_of(to_sdk_message(pack))]
    assert [(each.id, each.line) for each in received] == [(each.message_id, each.body) for each in made]
    assert [len(rows_of(to_sdk_message(pack))) for pack in packs[:-1]] == [rows_per_message] * (len(packs) - 1)
    kept = [row for pack in packs for row in ([each.row for each in pack.rows] or [pack.row])]
    assert kept == [each.row for each in made]


def test_a_pack_has_one_trace_context() -> None:
    one, two = (f"00-{'1' * 32}-{digit * 16}-01" for digit in "23")
    rows = [
        Message.of(PLAIN, str(number), b"{}", traceparent=context) for number, context in enumerate([one, one, two, ""])
    ]

    packs = packed(rows, Packing(10, "ndjson"))

    assert [(pack.traceparent, len(pack.rows) or 1) for pack in packs] == [(one, 2), (two, 1), ("", 1)]
    assert [compressed(pack, 0).traceparent for pack in packs] == [one, two, ""]


def test_the_id_of_a_pack_does_not_depend_on_its_trace_context() -> None:
    def pack_id(context: str) -> str:
        (pack,) = packed([Message.of(PLAIN, each, b"{}", traceparent=context) for each in "ab"], Packing(2, "ndjson"))
        return pack.message_id

    assert pack_id("") == pack_id(f"00-{'1' * 32}-{'2' * 16}-01")


def test_a_pack_is_one_message_with_the_head_of_its_rows() -> None:
    encoder = Encoder(Head("application/json", session_id="s", subject="dbo.Cars", properties=(("a", "1"),)))

    for form, content_type in (("ndjson", "application/x-ndjson"), ("array", "application/json")):
        (pack,) = packed([row("1", encoder), row("2", encoder)], Packing(10, form))  # type: ignore[arg-type]
        head = pack.encoder.head
        assert (head.session_id, head.subject, head.properties) == ("s", "dbo.Cars", (("a", "1"),))
        assert head.content_type == content_type


def test_packed_cloud_events_are_a_batch() -> None:
    encoder = Encoder(Head("application/cloudevents+json"))
    events = [Message.of(encoder, row_id, json.dumps({"specversion": "1.0", "id": row_id}).encode()) for row_id in "ab"]

    (batch,) = packed(events, Packing(10, "array"))
    (lines,) = packed(events, Packing(10, "ndjson"))

    assert batch.encoder.head.content_type == "application/cloudevents-batch+json"
    assert [[each.id for each in rows_of(to_sdk_message(pack))] for pack in (batch, lines)] == [["a", "b"]] * 2


def test_rows_with_different_heads_are_not_packed_together() -> None:
    cars, equal, persons = (Encoder(Head("application/json", subject=name)) for name in ("cars", "cars", "persons"))
    rows = [row("1", cars), row("2", equal), row("3", persons), row("4", cars)]

    assert [ids(pack) for pack in packed(rows, Packing(10))] == [["1", "2"], ["3"], ["4"]]


@FORMATS
def test_the_id_of_a_pack_depends_on_its_rows_alone(form: Format) -> None:
    rows = [row(str(n), note="x") for n in range(4)]

    first, again, longer, single = (
        packed(each, Packing(10, form))[0] for each in (rows[:2], rows[:2], rows[:3], rows[:1])
    )

    assert first.message_id == again.message_id != longer.message_id
    assert first.body == again.body
    assert len(first.message_id) == 32
    assert single.message_id == "0"


@FORMATS
def test_a_pack_stays_below_the_limit_of_every_tier(form: Format) -> None:
    encoder = Encoder(Head("application/json", properties=(("p", "v" * 5_000),)))
    rows = [row(str(n), encoder, "x" * 70_000) for n in range(9)] + [row("large", encoder, "x" * 300_000)]

    packs = packed(rows, Packing(100, form))

    assert [len(ids(pack)) for pack in packs] == [3, 3, 3, 1]
    assert max(pack.size for pack in packs[:-1]) <= MAX_PACK_BYTES


@pytest.mark.parametrize(("settings", "says"), [({"packing": {"rows_per_message": 10}}, True), ({}, False)])
def test_the_plan_says_that_consumers_must_drop_repeats(settings: dict[str, Any], says: bool) -> None:
    config = decode_config({**PLACE, "queue": "orders", "sku": "Standard", **settings}, Config)

    lines = definition(config, import_existing=False).message([]).splitlines()

    assert any(line.startswith("Packing: ") and "by row id" in line for line in lines) is says
