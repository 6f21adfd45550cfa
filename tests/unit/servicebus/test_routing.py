from __future__ import annotations

import json
from typing import Any

import pytest
from dstream_servicebus.config import Config, routing
from dstream_servicebus.publish.lanes import LaneKey
from dstream_servicebus.publish.routing import REMEMBERED, Router
from dstream_servicebus.settings.timing import DeliveryTime

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


def test_the_trace_context_changes_neither_id_nor_body_nor_lane() -> None:
    context = f"00-{'1' * 32}-{'2' * 16}-01"
    for settings in ({}, {"body": "cloudevents", "cloudevents": {"mode": "binary", "source": "s", "type": "t"}}):
        plain, traced = router(**settings).route(line()), router(**settings).route(line(), traceparent=context)

        assert (traced[0], traced[1].message_id, traced[1].body) == (plain[0], plain[1].message_id, plain[1].body)
        assert (plain[1].traceparent, traced[1].traceparent) == ("", context)


def test_a_message_without_room_for_its_trace_context_is_sent_without_it() -> None:
    large = {f"p{n}": "x" * 32_000 for n in range(2)} | {"q": "x" * 1_200}
    context = f"00-{'1' * 32}-{'2' * 16}-01"

    assert router(properties=large).route(line(), traceparent=context)[1].traceparent == ""


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


@pytest.mark.parametrize(("character", "fitting"), [("x", 128), ("é", 128), ("\U0001f697", 64)])
def test_the_length_of_an_id_is_counted_as_dotnet_counts_it(character: str, fitting: int) -> None:
    by_id = router(session="{Id}")

    kept, shortened = (by_id.route(line(Id=character * length)) for length in (fitting, fitting + 1))

    assert (kept[1].message_id, kept[0].session_id) == (character * fitting, character * fitting)
    assert len(shortened[1].message_id) == len(shortened[0].session_id or "") == 32


def test_a_numeric_id_is_used_as_text() -> None:
    assert router().route(line(Id=12))[1].message_id == "12"


def test_each_table_can_have_its_own_entity() -> None:
    by_table = router(
        queue="{source_host}-{source_database}-{table}", source_host="LOCALHOST", source_database="TestDB"
    )

    entities = [by_table.route(line(TableName=name))[0].entity for name in ("Cars", "sales.OrderLines")]

    assert entities == ["localhost-test-db-cars", "localhost-test-db-sales-order-lines"]


def test_spellings_of_an_entitys_name_share_its_lane_which_keeps_their_order() -> None:
    by_region = router(queue="shop-{Region}")

    entities = [by_region.route(line(Region=region))[0].entity for region in ("EU", "eu", "US")]

    assert entities == ["shop-EU", "shop-EU", "shop-US"]


def test_values_that_are_equal_but_differ_as_text_have_different_targets() -> None:
    by_flag = router(session="{Flag}")

    sessions = [by_flag.route(line(Flag=value))[0].session_id for value in (1, True, 1.0, 1, "1")]

    assert sessions == ["1", "true", "1.0", "1", "1"]


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


def test_a_template_can_name_columns_of_the_data() -> None:
    lane, message = router(
        session="{data.Customer Id}",
        subject="{OperationType} of {data.Name}",
        message_id="{data.Id}",
        properties={"price": "{data.Price}", "tags": "{data.Tags}", "absent": "{data.Gone}", "null": "{data.Null}"},
    ).route(
        b'{"data":{"Id":7,"Customer Id":12345678901234567890,"Name":"\\u00c4da","Price":1.50,"Tags":["a"],"Null":null},'
        b'"metadata":{"OperationType":"Insert","Id":"x"}}'
    )

    head = message.encoder.head
    assert lane.session_id == "12345678901234567890"
    assert head.subject == "Insert of Äda"
    assert message.message_id == "7"
    assert head.properties == (("price", "1.50"), ("tags", '["a"]'))


def test_equal_values_of_different_types_stay_different() -> None:
    by_value = router(subject="{data.Flag}")

    subjects = [by_value.route(line({"Flag": flag}))[1].encoder.head.subject for flag in (1, True, "1", 1.0)]

    assert subjects == ["1", "true", "1", "1.0"]


def test_columns_can_be_read_with_any_body() -> None:
    for body, expected in (("data", b'{"Id": 7, "Name": "A"}'), ("envelope", line())):
        _, message = router(body=body, subject="{data.Name}").route(line())
        assert (message.encoder.head.subject, message.body) == ("A", expected)


def test_the_fields_of_the_message_id_alone_do_not_fill_the_cache() -> None:
    by_id = router(message_id="{LSN}/{data.Id}", subject="{TableName} {data.Name}")

    ids = {by_id.route(line({"Id": n, "Name": "A"}, LSN=str(n)))[1].message_id for n in range(50)}

    assert len(ids) == 50
    assert len(by_id._targets) == 1


@pytest.mark.parametrize(
    ("data", "ttl_s", "schedule"),
    [
        ({"Minutes": 90, "SendAt": "2026-12-01T08:00:00.1234567+01:00"}, 5400, DeliveryTime(at_ms=1_796_108_400_123)),
        ({"Minutes": "0.5", "SendAt": "2026-12-01T08:00:00"}, 30, DeliveryTime(at_ms=1_796_112_000_000)),
        ({"Minutes": None, "SendAt": None}, None, None),
        ({"Minutes": 1, "SendAt": "0001-01-01T00:00:00+14:00"}, 60, DeliveryTime(at_ms=0)),
        ({"Minutes": 1, "SendAt": "9999-12-31T23:59:59-14:00"}, 60, DeliveryTime(at_ms=253_402_300_799_999)),
        ({"Minutes": 1, "SendAt": "1h30m"}, 60, DeliveryTime(delay_ms=5_400_000)),
    ],
)
def test_an_event_can_tell_when_its_message_is_delivered_and_expires(
    data: dict[str, Any], ttl_s: int | None, schedule: DeliveryTime | None
) -> None:
    _, message = router(time_to_live="{data.Minutes}m", scheduled="{data.SendAt}").route(line(data))

    assert (message.encoder.head.ttl_s, message.encoder.head.scheduled) == (ttl_s, schedule)


def test_all_messages_can_have_the_same_delay() -> None:
    assert router(scheduled="10m").route(line())[1].encoder.head.scheduled == DeliveryTime(delay_ms=600_000)


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
        ({"session": "{data.Gone}"}, line(), "servicebus.field_missing"),
        ({"partition_key": "{data.Name}"}, line({"Name": None}), "servicebus.field_missing"),
        ({"subject": "{data.Name}"}, b'{"data":5}', "servicebus.bad_line"),
        ({"subject": "{data.Name}"}, b'{"data":{"Name":"\xff"}}', "servicebus.bad_line"),
        ({"time_to_live": "{data.Id}"}, line(), "servicebus.bad_time_to_live"),
        ({"time_to_live": "{data.Id}d"}, line({"Id": 50}), "servicebus.bad_time_to_live"),
        ({"scheduled": "{data.Name}"}, line(), "servicebus.bad_schedule"),
        ({"scheduled": "{data.Name}"}, line({"Name": f"{'9' * 400}d"}), "servicebus.bad_schedule"),
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
