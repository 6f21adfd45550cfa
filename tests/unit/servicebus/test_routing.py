from __future__ import annotations

import json
from typing import Any

import pytest
from dstream_servicebus.config import Config, routing
from dstream_servicebus.publish.lanes import LaneKey
from dstream_servicebus.publish.routing import REMEMBERED, Router

from dstream.errors import DataError
from dstream.sdk import decode_config

METADATA = {
    "TableName": "dbo.Cars",
    "OperationType": "Update",
    "OperationID": 4,
    "LSN": "0000002a000000180022",
    "Key": ["Id"],
    "Last": True,
    "Id": "d8/77/0000002a000000180022/1/00/4",
}


def router(**settings: Any) -> Router:
    settings = {"connection_string": "x", "queue": "q", **settings}
    return Router(routing(decode_config(settings, Config)))


def line(data: Any = None, **metadata: Any) -> bytes:
    return json.dumps({"data": data or {"Id": 7, "Name": "A"}, "metadata": {**METADATA, **metadata}}).encode()


def test_by_default_the_line_is_sent_unchanged_with_the_events_id() -> None:
    event = line()

    lane, message = router().route(event)

    assert lane == LaneKey("q", None, None)
    assert message.body == event
    assert message.message_id == METADATA["Id"]
    assert message.encoder.head.subject == "dbo.Cars"
    assert message.encoder.head.session_id is None


def test_null_metadata_counts_as_no_metadata() -> None:
    assert router().route(b'{"data":{},"metadata":null}')[1].encoder.head.subject is None


def test_an_event_without_an_id_gets_one_from_its_bytes() -> None:
    one, same, other = (router().route(event)[1] for event in (b'{"n":1}', b'{"n":1}', b'{"n":2}'))

    assert one.message_id == same.message_id != other.message_id
    assert len(one.message_id) == 32


def test_an_id_that_service_bus_would_refuse_is_replaced_by_a_stable_one() -> None:
    first, second = (router().route(line(Id="x" * 129, LSN=lsn))[1] for lsn in ("1", "2"))

    assert first.message_id == second.message_id
    assert len(first.message_id) == 32


def test_a_numeric_id_is_used_as_text() -> None:
    assert router().route(line(Id=12))[1].message_id == "12"


def test_each_table_can_have_its_own_entity() -> None:
    by_table = router(
        queue="{source_host}-{source_database}-{table}", source_host="LOCALHOST", source_database="TestDB"
    )

    entities = [by_table.route(line(TableName=name))[0].entity for name in ("Cars", "sales.OrderLines")]

    assert entities == ["localhost-test-db-cars", "localhost-test-db-sales-order-lines"]


def test_messages_of_a_table_can_share_a_session() -> None:
    lane, message = router(session="table").route(line())

    assert lane.session_id == message.encoder.head.session_id == "dbo.Cars"


def test_changes_of_one_row_can_share_a_session() -> None:
    by_key = router(session="key")

    first, again, other = (by_key.route(line({"Id": n, "Name": name}))[0] for n, name in ((7, "A"), (7, "B"), (8, "A")))

    assert first == again != other
    assert first.session_id == "dbo.Cars/7"


def test_a_long_key_is_shortened_to_fit_a_session_id() -> None:
    session = router(session="key").route(line({"Id": "k" * 300}))[0].session_id

    assert session is not None
    assert len(session) == 32


def test_a_template_can_name_any_metadata() -> None:
    _, message = router(
        session="{TableName}/{OperationType}",
        subject="{OperationType}",
        message_id="{LSN}-{OperationID}",
        properties={"table": "{table}", "last": "{Last}", "fixed": "yes", "absent": "{Nothing}"},
    ).route(line())

    head = message.encoder.head
    assert head.session_id == "dbo.Cars/Update"
    assert head.subject == "Update"
    assert message.message_id == "0000002a000000180022-4"
    assert head.properties == (("table", "cars"), ("last", "true"), ("fixed", "yes"))


def test_the_body_can_be_the_data_alone() -> None:
    _, message = router(body="data").route(line({"Id": 7, "Name": "Ä"}))

    assert json.loads(message.body) == {"Id": 7, "Name": "Ä"}
    assert message.message_id == METADATA["Id"]


def test_messages_with_a_partition_key_have_their_own_lane() -> None:
    lane, message = router(partition_key="{TableName}").route(line())

    assert lane.partition_key == message.encoder.head.partition_key == "dbo.Cars"


@pytest.mark.parametrize(
    ("settings", "event", "code"),
    [
        ({}, b"prose", "servicebus.bad_line"),
        ({}, b"[1]", "servicebus.bad_line"),
        ({"queue": "{table}"}, b'{"metadata":{"TableName":"\xff"}}', "servicebus.bad_line"),
        (
            {"queue": "{table}"},
            b'{"metadata":{"TableName":' + b"[" * 20_000 + b"]" * 20_000 + b"}}",
            "servicebus.bad_line",
        ),
        ({"session": "key"}, b'{"data":5,"metadata":{"Key":["Id"],"TableName":"dbo.Cars"}}', "servicebus.bad_line"),
        (
            {"session": "key"},
            b'{"data":{"Id":"\xff"},"metadata":{"Key":["Id"],"TableName":"dbo.Cars"}}',
            "servicebus.bad_line",
        ),
        ({"queue": "{table}"}, b'{"data":{}}', "servicebus.field_missing"),
        ({"queue": "{TableName}"}, line(TableName="a b"), "servicebus.bad_entity_name"),
        ({"session": "table"}, b'{"data":{}}', "servicebus.field_missing"),
        ({"session": "key"}, line(Key=None), "servicebus.no_key"),
        ({"session": "key"}, line(Key=["Gone"]), "servicebus.no_key"),
        ({"body": "data"}, b'{"metadata":{}}', "servicebus.no_data"),
        ({"session": "table", "partition_key": "{LSN}"}, line(), "servicebus.two_partitions"),
    ],
)
def test_an_event_that_cannot_be_routed_stops_the_stream(settings: dict[str, Any], event: bytes, code: str) -> None:
    with pytest.raises(DataError) as caught:
        router(**settings).route(event)

    assert caught.value.code == code
    assert "b'" not in caught.value.message


def test_a_list_in_a_template_is_written_as_json() -> None:
    assert router(properties={"key": "{Key}"}).route(line())[1].encoder.head.properties == (("key", '["Id"]'),)


def test_the_cache_of_targets_is_bounded() -> None:
    by_lsn = router(subject="{LSN}")

    for n in range(REMEMBERED + 10):
        assert by_lsn.route(line(LSN=str(n)))[1].encoder.head.subject == str(n)

    assert len(by_lsn._targets) <= REMEMBERED
