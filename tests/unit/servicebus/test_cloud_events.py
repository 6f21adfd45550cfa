"""CloudEvents, read by the official package."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from cloudevents.core.bindings.amqp import AMQPMessage, from_amqp_event
from cloudevents.core.v1.event import CloudEvent
from dstream_servicebus.config import Config, routing
from dstream_servicebus.publish.message import Message
from dstream_servicebus.publish.routing import Router

from dstream.errors import ConfigError, DataError
from dstream.sdk import decode_config

METADATA = {
    "V": 1,
    "TableName": "dbo.Order Lines",
    "OperationType": "Update",
    "OperationID": 4,
    "LSN": "0000002a000000180022",
    "CommandId": None,
    "CommitTime": "2024-02-29T23:59:59.1234567+01:00",
    "Key": ["Id"],
    "Last": True,
    "Id": "d8/77/0000002a000000180022/1/00/4",
}
BOTH_MODES = pytest.mark.parametrize("mode", ["structured", "binary"])


def router(mode: str = "structured", source: str = "//sql01/Shop/{TableName}", **settings: Any) -> Router:
    config = {
        "connection_string": "x",
        "queue": "q",
        "body": "cloudevents",
        "cloudevents": {"source": source, "mode": mode},
        **settings,
    }
    return Router(routing(decode_config(config, Config)))


def line(**metadata: Any) -> bytes:
    data = {"Id": 7, "Name": "Ä", "Price": 1.50}
    return json.dumps({"data": data, "metadata": {**METADATA, **metadata}}, ensure_ascii=False).encode()


def read(message: Message) -> CloudEvent:
    head = message.encoder.head
    return from_amqp_event(AMQPMessage({"content-type": head.content_type}, dict(head.properties), message.body))


@BOTH_MODES
def test_the_official_package_reads_an_event(mode: str) -> None:
    _, message = router(mode).route(line())

    event = read(message)

    assert event.get_specversion() == "1.0"
    assert event.get_id() == message.message_id == METADATA["Id"]
    assert event.get_source() == "//sql01/Shop/dbo.Order%20Lines"
    assert event.get_type() == "dbo.Order Lines.Update"
    assert event.get_subject() == "dbo.Order Lines"
    assert event.get_time() == datetime.fromisoformat("2024-02-29T23:59:59.1234567+01:00")
    assert event.get_datacontenttype() == "application/json"
    data = event.get_data()
    assert (json.loads(data) if isinstance(data, bytes | str) else data) == {"Id": 7, "Name": "Ä", "Price": 1.5}


@BOTH_MODES
def test_an_event_that_is_sent_again_keeps_its_id(mode: str) -> None:
    _, message = router(mode, message_id="new-{LSN}").route(line(), "old")

    assert read(message).get_id() == message.message_id == "old"


@BOTH_MODES
def test_other_metadata_becomes_extension_attributes(mode: str) -> None:
    event = read(router(mode).route(line())[1])

    texts = {name: event.get_extension(name) for name in ("tablename", "operationtype", "lsn", "key")}
    assert texts == {
        "tablename": "dbo.Order Lines",
        "operationtype": "Update",
        "lsn": "0000002a000000180022",
        "key": '["Id"]',
    }
    assert [str(event.get_extension(name)).lower() for name in ("v", "operationid", "last")] == ["1", "4", "true"]
    assert event.get_extension("commandid") is None
    assert event.get_extension("committime") is None


def test_a_structured_event_has_the_data_byte_for_byte() -> None:
    event = b'{"data":{"Price":1.50,"Big":123456789012345678901234567890},"metadata":{"TableName":"t","OperationType":"Insert"}}'

    _, message = router().route(event)

    assert message.body.endswith(b'"data":{"Price":1.50,"Big":123456789012345678901234567890}}')
    assert message.encoder.head.content_type == "application/cloudevents+json"


def test_a_binary_event_has_the_data_as_its_body_and_keeps_other_properties() -> None:
    _, message = router("binary", properties={"region": "eu"}).route(line())

    assert json.loads(message.body) == {"Id": 7, "Name": "Ä", "Price": 1.5}
    properties = dict(message.encoder.head.properties)
    assert properties["region"] == "eu"
    assert properties["cloudEvents_type"] == "dbo.Order Lines.Update"


@pytest.mark.parametrize("commit_time", ["2024-02-29T23:59:59.123", None, 5])
def test_a_commit_time_without_an_offset_is_not_the_events_time(commit_time: object) -> None:
    event = json.loads(router().route(line(CommitTime=commit_time))[1].body)

    assert "time" not in event
    assert event.get("committime") == commit_time


def test_metadata_named_like_an_attribute_gets_a_prefix() -> None:
    event = read(router(message_id="{LSN}").route(line(Source="crm", Large=2**40))[1])

    assert event.get_source() == "//sql01/Shop/dbo.Order%20Lines"
    assert event.get_extension("metasource") == "crm"
    assert event.get_extension("metaid") == METADATA["Id"]
    assert event.get_extension("large") == str(2**40)


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (line(lsn="other"), "servicebus.bad_attribute"),
        (line(**{"_": 1}), "servicebus.bad_attribute"),
        (line(OperationType=None), "servicebus.field_missing"),
        (b'{"metadata":{"TableName":"t","OperationType":"Insert"}}', "servicebus.no_data"),
    ],
)
def test_an_event_that_cannot_be_a_cloud_event_stops_the_stream(event: bytes, code: str) -> None:
    with pytest.raises(DataError) as caught:
        router().route(event)

    assert caught.value.code == code


@pytest.mark.parametrize(
    ("settings", "code", "path"),
    [
        ({"cloudevents": None}, "servicebus.no_source", "cloudevents"),
        ({"body": "data"}, "servicebus.unused_setting", "cloudevents"),
        ({"cloudevents": {"source": "a b"}}, "servicebus.bad_source", "cloudevents.source"),
        ({"cloudevents": {"source": ""}}, "servicebus.bad_source", "cloudevents.source"),
        ({"cloudevents": {"source": "/x", "type": "{"}}, "servicebus.bad_template", "cloudevents.type"),
    ],
)
def test_invalid_settings_of_cloud_events_are_named(settings: dict[str, Any], code: str, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        router(**settings)

    assert (caught.value.code, caught.value.config_path) == (code, path)
