"""$cbs and $management as other SDKs use them, frame by frame."""

from __future__ import annotations

from dstream_sandbox.servicebus.amqp.decode import decode
from dstream_sandbox.servicebus.amqp.performatives import Code
from dstream_sandbox.servicebus.amqp.sections import scan
from dstream_sandbox.servicebus.amqp.values import Array, Described, Int, UInt, ULong

from tests.integration.sandbox_amqp.namespace_thread import KEY, KEY_NAME, NamespaceThread
from tests.integration.sandbox_amqp.wire_client import MANAGE_ID, WireClient, message, parse_answer, request


def test_a_deferred_message_carries_its_lock_token_in_both_places(namespace: NamespaceThread, wire: WireClient) -> None:
    queue = namespace.queue()
    wire.store(queue, message(b"x"))
    wire.attach_receiver(1, queue)
    wire.give_credit(1, 1)
    wire.expect(Code.TRANSFER)
    wire.send(Code.DISPOSITION, [True, UInt(0), None, False, Described(ULong(Code.MODIFIED), [True, True])])
    wire.expect(Code.DISPOSITION)
    body = {"sequence-numbers": Array(0x81, (1,)), "receiver-settle-mode": UInt(1)}
    correlation_id, properties, answer = wire.manage(queue, "receive-by-sequence-number", body)
    assert (correlation_id, properties["statusCode"]) == (MANAGE_ID, 200)
    [entry] = answer["messages"]
    sections = scan(entry["message"])
    assert sections.delivery_annotations is not None
    annotations = decode(entry["message"], sections.delivery_annotations[1])[0]
    assert annotations == {"x-opt-lock-token": entry["lock-token"]}
    settle = {"disposition-status": "completed", "lock-tokens": Array(0x98, (entry["lock-token"],))}
    assert wire.manage(queue, "update-disposition", settle).properties["statusCode"] == 200
    lost = wire.manage(queue, "update-disposition", settle).properties
    assert (lost["statusCode"], lost["errorCondition"]) == (410, "com.microsoft:message-lock-lost")


def test_sessions_are_listed(namespace: NamespaceThread, wire: WireClient) -> None:
    queue = namespace.queue(requires_session=True)
    body = {"last-updated-time": 253_402_300_800_000, "skip": Int(0), "top": Int(10)}
    assert wire.manage(queue, "get-message-sessions", body).properties["statusCode"] == 204
    wire.store(queue, *(message(b"x", session=name) for name in ("b", "a")))
    answer = wire.manage(queue, "get-message-sessions", body).body
    assert answer["sessions-ids"].items == ("a", "b")


def test_a_management_token_authorizes_only_the_management_node(namespace: NamespaceThread) -> None:
    queue = namespace.queue()
    with WireClient(namespace.amqp_port) as wire:
        wire.open()
        assert wire.put_token(f"sb://localhost/{queue}/$management", KEY_NAME, KEY)["status-code"] == 202
        properties = wire.manage(queue, "peek-message", {"message-count": Int(1)}).properties
        assert properties["statusCode"] == 204
        wire.attach_receiver(1, queue)
        assert wire.expect_refusal() == "amqp:unauthorized-access"


def test_rules_are_added_listed_and_removed(namespace: NamespaceThread, wire: WireClient) -> None:
    path = namespace.subscription()
    sql = {"sql-filter": {"expression": "n > 1"}, "sql-rule-action": {"expression": "SET seen = 1"}}
    correlation = {"correlation-filter": {"label": "L", "properties": {"op": "insert"}}}
    for name, description in (("sql", sql), ("corr", correlation)):
        body = {"rule-name": name, "rule-description": description}
        assert wire.manage(path, "add-rule", body).properties["statusCode"] == 200
    again = wire.manage(path, "add-rule", {"rule-name": "sql", "rule-description": sql}).properties
    assert (again["statusCode"], again["errorCondition"]) == (409, "com.microsoft:entity-already-exists")
    assert wire.manage(path, "remove-rule", {"rule-name": "$Default"}).properties["statusCode"] == 200
    answer = wire.manage(path, "enumerate-rules", {"skip": Int(0), "top": Int(10)}).body
    rules = {entry["rule-description"].value[2]: entry["rule-description"] for entry in answer["rules"]}
    assert rules.keys() == {"sql", "corr"}
    assert rules["sql"].descriptor == 0x0000013700000004
    sql_filter, sql_action = rules["sql"].value[:2]
    assert (sql_filter.descriptor, sql_filter.value[0]) == (0x000001370000006, "n > 1")
    assert (sql_action.descriptor, sql_action.value[0]) == (0x0000013700000006, "SET seen = 1")
    assert rules["corr"].value[0].descriptor == 0x000001370000009
    assert rules["corr"].value[0].value[4] == "L"
    assert rules["corr"].value[0].value[8] == {"op": "insert"}


def test_an_unknown_operation_is_reported_as_not_implemented(namespace: NamespaceThread, wire: WireClient) -> None:
    properties = wire.manage(namespace.queue(), "make-coffee", {}).properties
    assert (properties["statusCode"], properties["errorCondition"]) == (501, "amqp:not-implemented")


def test_two_clients_on_one_connection_get_their_own_responses(namespace: NamespaceThread, wire: WireClient) -> None:
    node = f"{namespace.queue()}/$management"
    wire.attach_sender(1, node)
    for handle, target in ((2, "first"), (3, "second")):
        wire.attach_receiver(handle, node, target=target)
        wire.give_credit(handle, 5)
    body = {"from-sequence-number": 0, "message-count": Int(1)}
    for delivery_id, target in enumerate(("second", "first", "second")):
        properties: dict[str, object] = {"operation": "com.microsoft:peek-message"}
        wire.transfer(1, delivery_id, request(properties, body, message_id=target, reply_to=target))
    assert [wire.expect(Code.TRANSFER)[0] for _ in range(3)] == [3, 2, 3]


def test_a_response_waits_for_its_receiving_link(namespace: NamespaceThread, wire: WireClient) -> None:
    node = f"{namespace.queue()}/$management"
    wire.attach_sender(1, node)
    wire.transfer(1, 0, request({"operation": "com.microsoft:peek-message"}, {}, message_id="early"))
    wire.expect(Code.DISPOSITION)
    wire.attach_receiver(2, node)
    wire.give_credit(2, 1)
    assert parse_answer(wire.expect(Code.TRANSFER).payload).correlation_id == "early"
