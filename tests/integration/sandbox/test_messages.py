"""`dstream sandbox queue`, `peek`, `receive` and `fault`, on messages sent by azure-servicebus."""

from __future__ import annotations

import json
from typing import Any

import pyodbc
import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.amqp import AmqpAnnotatedMessage
from azure.servicebus.exceptions import ServiceBusError
from dstream_sandbox import clients

from tests.integration.sandbox.commands import Commands
from tests.running import Sandbox


@pytest.fixture(scope="module")
def commands(sandbox: Sandbox) -> Commands:
    return Commands(sandbox.folder.path)


def _send(sandbox: Sandbox, queue: str, *messages: Any, retries: int = 0) -> None:
    text = sandbox.env["ASB_CONNECTION_STRING"]
    with (
        ServiceBusClient.from_connection_string(text, retry_total=retries) as client,
        client.get_queue_sender(queue) as sender,
    ):
        for message in messages:
            sender.send_messages(message)


def _count(sandbox: Sandbox, queue: str) -> int | None:
    with clients.administration(sandbox.folder, sandbox.settings) as administration:
        return administration.get_queue_runtime_properties(queue).total_message_count


def _bodies(messages: list[Any]) -> list[Any]:
    return [message["body"] for message in messages]


def test_peek_shows_a_message_without_removing_it(sandbox: Sandbox, commands: Commands) -> None:
    sandbox.create_queue("peeked")
    properties: Any = {"Table": "dbo.Orders", "n": 7, "ok": True}
    _send(
        sandbox,
        "peeked",
        ServiceBusMessage('{"a": 1}', message_id="m1", subject="s", application_properties=properties),
    )

    assert commands("peek", "peeked").stdout == commands("peek", "peeked").stdout
    (message,) = commands.rows("peek", "peeked")
    assert message["body"] == {"a": 1}
    assert message["properties"] == properties
    assert (message["message_id"], message["subject"], message["sequence_number"]) == ("m1", "s", 1)
    assert set(message) == {
        "sequence_number", "message_id", "session_id", "subject", "content_type", "correlation_id", "enqueued_at",
        "delivery_count", "dead_letter_reason", "properties", "body",
    }  # fmt: skip


def test_bodies_are_printed_on_one_line_with_every_digit(sandbox: Sandbox, commands: Commands) -> None:
    sandbox.create_queue("bodies")
    bodies: list[Any] = ['{"n": 1.10,\n"m": 12345678901234567890.125}', "text é", b"\xff\x00", "NaN"]
    _send(sandbox, "bodies", *map(ServiceBusMessage, bodies), AmqpAnnotatedMessage(value_body={"k": 1}))

    lines = commands("receive", "bodies").stdout.splitlines()
    assert '{"n": 1.10, "m": 12345678901234567890.125}' in lines[0]
    assert _bodies([json.loads(line) for line in lines[1:]]) == ["text é", "ff00", "NaN", {"k": 1}]


def test_receive_removes_only_what_it_prints(sandbox: Sandbox, commands: Commands) -> None:
    sandbox.create_queue("taken")
    _send(sandbox, "taken", [ServiceBusMessage(str(number)) for number in range(5)])

    assert _bodies(commands.rows("receive", "taken", "--count", "2")) == [0, 1]
    assert _count(sandbox, "taken") == 3
    left = commands.rows("receive", "taken", "--wait", "0.3")
    assert _bodies(left) == [2, 3, 4]
    assert _count(sandbox, "taken") == 0
    assert [message["delivery_count"] for message in left] == [0, 0, 0]


def test_a_queue_with_sessions_is_received_session_by_session(sandbox: Sandbox, commands: Commands) -> None:
    commands("queue", "grouped", "--sessions")
    _send(
        sandbox, "grouped", *(ServiceBusMessage(f"{who}{number}", session_id=who) for number in (1, 2) for who in "ab")
    )

    assert "--session ID" in commands.error("peek", "grouped")
    assert _bodies(commands.rows("peek", "grouped", "--session", "b")) == ["b1", "b2"]
    assert _bodies(commands.rows("receive", "grouped", "--wait", "0.3")) == ["a1", "a2", "b1", "b2"]


def test_subscriptions_and_dead_letter_queues_can_be_read(sandbox: Sandbox, commands: Commands) -> None:
    with clients.administration(sandbox.folder, sandbox.settings) as administration:
        administration.create_topic("events")
        administration.create_subscription("events", "audit")
    with clients.servicebus(sandbox.settings) as client:
        with client.get_topic_sender("events") as sender:
            sender.send_messages([ServiceBusMessage("bad"), ServiceBusMessage("good")])
        with client.get_subscription_receiver("events", "audit") as receiver:
            (message,) = receiver.receive_messages(1, max_wait_time=10)
            receiver.dead_letter_message(message, reason="broken")

    (dead,) = commands.rows("peek", "events/audit", "--dead-letter")
    assert (dead["body"], dead["dead_letter_reason"]) == ("bad", "broken")
    assert _bodies(commands.rows("receive", "events/audit", "--count", "1")) == ["good"]
    for text in ("events", "events/other"):
        assert commands.error("peek", text).endswith("subscriptions of topic events: events/audit")


@pytest.mark.parametrize("command", ["peek", "receive"])
def test_a_missing_entity_is_named_with_the_existing_ones(sandbox: Sandbox, commands: Commands, command: str) -> None:
    sandbox.create_queue(f"present-{command}")
    told = commands.error(command, "absent")
    assert told.startswith("queue absent not found; existing entities: ")
    assert f"present-{command}" in told


def test_an_invalid_queue_name_is_a_one_line_error(commands: Commands) -> None:
    assert "character(s)" in commands.error("queue", "a:b")


def test_duplicate_detection_stores_a_message_id_once(sandbox: Sandbox, commands: Commands) -> None:
    commands("queue", "once", "--duplicate-detection")
    _send(sandbox, "once", *(ServiceBusMessage("x", message_id="same") for _ in range(2)))
    assert len(commands.rows("peek", "once")) == 1


def test_a_fault_occurs_as_often_as_requested(sandbox: Sandbox, commands: Commands) -> None:
    sandbox.create_queue("unlucky")
    added = commands("fault", "add", "reject", "--entity", "unlucky", "--times", "1").stdout
    assert added == "reject  entity=unlucky  on=send  times=1  condition=com.microsoft:server-busy  at=before_store\n"
    (fault,) = json.loads(commands("fault", "list", "--json").stdout)["faults"]
    assert (fault["kind"], fault["entity"], fault["times"]) == ("reject", "unlucky", 1)

    with pytest.raises(ServiceBusError, match="server-busy"):
        _send(sandbox, "unlucky", ServiceBusMessage("first"))
    _send(sandbox, "unlucky", ServiceBusMessage("second"))
    assert _bodies(commands.rows("peek", "unlucky")) == ["second"]


def test_faults_are_cleared(sandbox: Sandbox, commands: Commands) -> None:
    sandbox.create_queue("cleared")
    commands("fault", "add", "refuse_attach", "--entity", "cleared", "--condition", "amqp:unauthorized-access")
    with pytest.raises(ServiceBusError):
        _send(sandbox, "cleared", ServiceBusMessage("first"))
    commands("fault", "clear")
    _send(sandbox, "cleared", ServiceBusMessage("second"))
    assert _bodies(commands.rows("peek", "cleared")) == ["second"]


def test_a_fault_of_sql_server_is_listed_and_cleared_with_the_others(sandbox: Sandbox, commands: Commands) -> None:
    added = commands("fault", "add", "sql", "--number", "40501", "--statement", "dbo.Unlucky").stdout
    assert added == "sql  action=error  number=40501  at=statement  statement=dbo.Unlucky\n"
    assert "needs a number" in commands.error("fault", "add", "sql")
    commands("fault", "add", "reject", "--entity", "unlucky")
    faults = json.loads(commands("fault", "list", "--json").stdout)["faults"]
    assert [fault["kind"] for fault in faults] == ["reject", "sql"]
    with pytest.raises(pyodbc.Error, match="40501"):
        sandbox.sql("SELECT 1 AS [dbo.Unlucky]")
    commands("fault", "clear")
    assert sandbox.sql("SELECT 1 AS [dbo.Unlucky]")[0][0] == 1


def test_an_unknown_fault_is_a_usage_error(commands: Commands) -> None:
    assert "'reject'" in commands.error("fault", "add", "explode", code=3)
