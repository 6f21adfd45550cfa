"""A faulty broker: how the publisher retries, splits and reconnects, and what stops it. test_fault_matrix.py has the
faults that strike at every moment."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from dstream_servicebus.publish import sender, worker
from dstream_servicebus.publish.message import Message

from dstream.errors import DStreamError
from tests.integration.servicebus.broker import WAIT_S, Broker, bodies, event, publishing
from tests.running import wait_until

LINES = [event(n) for n in range(1000)]


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "GRACE_S", 0.3)


def test_an_event_rejected_as_too_large_is_kept_in_a_file(
    stormy: Broker, new_name: Callable[[], str], tmp_path: Path
) -> None:
    queue = stormy.create_queue(new_name())
    rejected = tmp_path / "rejected.jsonl"
    with publishing(stormy, queue, on_oversize="dead_letter", dead_letter={"file": str(rejected)}) as run:
        stormy.fault(kind="reject", condition="amqp:link:message-size-exceeded", times=1, entity=queue)
        assert run.publish(LINES[:1]).rejected == 1
        assert run.publish(LINES[1:3]).rejected == 0

    assert bodies(stormy.receive(queue, 2)) == LINES[1:3]
    assert len(rejected.read_text().splitlines()) == 1


def test_a_broker_that_stops_reading_gets_a_new_connection(stormy: Broker, new_name: Callable[[], str]) -> None:
    queue = stormy.create_queue(new_name(), requires_duplicate_detection=True)
    with publishing(stormy, queue) as run:
        run.publish(LINES[:10])
        stormy.fault(kind="stall")
        _, future = run.write(LINES[10:])
        wait_until(lambda: run.logs("servicebus.retry"), "a failed attempt")
        stormy.clear_faults()
        future.result(WAIT_S)

    assert bodies(stormy.receive(queue, len(LINES))) == LINES


def test_a_busy_server_is_retried_after_a_delay(stormy: Broker, new_name: Callable[[], str]) -> None:
    queue = stormy.create_queue(new_name())
    with publishing(stormy, queue) as run:
        stormy.fault(kind="reject", condition="com.microsoft:server-busy", times=3, entity=queue)
        run.publish(LINES)

    retries = run.logs("servicebus.retry")
    assert [retry["action"] for retry in retries] == ["busy"] * 3
    assert all(retry["wait_s"] >= 0.3 for retry in retries)
    assert [retry["failures"] for retry in retries] == [1, 2, 3]
    assert run.counted("send_retries", condition="com.microsoft:server-busy") == 3
    assert run.counted("throttled_seconds") == pytest.approx(sum(retry["wait_s"] for retry in retries), abs=0.01)
    assert bodies(stormy.receive(queue, len(LINES))) == LINES


def test_a_throttled_publisher_uses_most_credits_of_each_second(stormy: Broker, new_name: Callable[[], str]) -> None:
    queue = stormy.create_queue(new_name())
    credits_per_s = 150
    stormy.fault(kind="throttle", rate=credits_per_s, entity=queue)

    with publishing(stormy, queue, batch={"max_messages": 100}, retry={"send_timeout": "5s"}) as run:
        run.publish(LINES)

    arrived = stormy.receive(queue, len(LINES))
    assert bodies(arrived) == LINES
    used = {message.enqueued_time_utc.replace(microsecond=0) for message in arrived if message.enqueued_time_utc}
    seconds = round((max(used) - min(used)).total_seconds()) + 1
    assert len(LINES) / seconds >= 0.6 * credits_per_s
    retries = run.logs("servicebus.retry")
    assert {retry["action"] for retry in retries} == {"busy"}
    assert len(retries) <= 4 * seconds


def test_publishing_resumes_when_a_killed_broker_is_back(own: Broker) -> None:
    queue = own.create_queue("q", requires_duplicate_detection=True)
    with publishing(own, queue, batch={"max_messages": 200}) as run:
        run.publish(LINES[:500])
        own.kill()
        _, future = run.write(LINES[500:])
        wait_until(lambda: len(run.logs("servicebus.retry")) >= 2, "two failed attempts")
        assert not future.done()

        own.start()
        future.result(WAIT_S)

    assert bodies(own.receive(queue, len(LINES))) == LINES


def test_a_broker_killed_after_storing_gets_no_second_copy(own: Broker) -> None:
    queue = own.create_queue("q", requires_duplicate_detection=True)
    with publishing(own, queue) as run:
        run.publish(LINES[:10])
        own.fault(kind="kill", at="after_store", times=1)
        _, future = run.write(LINES[10:])
        wait_until(lambda: len(run.logs("servicebus.retry")) >= 1, "a failed attempt")
        own.kill()
        own.start()
        future.result(WAIT_S)

    assert bodies(own.receive(queue, len(LINES))) == LINES


def test_an_idle_link_is_renewed_before_the_service_drops_it(
    stormy: Broker, new_name: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = stormy.create_queue(new_name())
    with publishing(stormy, queue) as run:
        before = stormy.counters()["connections"]
        run.publish(LINES[:10])
        assert stormy.counters()["connections"] == before
        monkeypatch.setattr(sender, "IDLE_S", 0.0)
        run.publish(LINES[10:20])
        assert stormy.counters()["connections"] == before + 1

    assert not run.logs("servicebus.retry")
    assert bodies(stormy.receive(queue, 20)) == LINES[:20]


def test_a_fault_in_one_session_does_not_reorder_the_others(stormy: Broker, new_name: Callable[[], str]) -> None:
    queue = stormy.create_queue(new_name(), requires_session=True, requires_duplicate_detection=True)
    tables = ["dbo.A", "dbo.B", "dbo.C", "dbo.D"]
    lines = [event(n, table) for n, table in zip(range(1200), itertools.cycle(tables), strict=False)]
    with publishing(stormy, queue, session="table", batch={"max_messages": 50}) as run:
        stormy.fault(kind="drop", at="after_store", times=3, after=3, entity=queue)
        run.publish(lines)

    assert stormy.receive_sessions(queue, 4, 300) == {table: lines[start::4] for start, table in enumerate(tables)}


@pytest.mark.parametrize("condition", ["amqp:not-allowed", "com.microsoft:entity-disabled", "amqp:not-found"])
def test_a_detached_link_refuses_no_message_and_ends_no_run(
    condition: str, stormy: Broker, new_name: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the reason, and although the SDK has read it before the next send, as its keep-alive can."""
    queue = stormy.create_queue(new_name())
    send = sender.EntitySender.send

    def read_then_send(self: sender.EntitySender, messages: Sequence[Message], max_bytes: int) -> tuple[int, int]:
        self._opened()._handler._connection.listen(wait=0.5)
        return send(self, messages, max_bytes)

    with publishing(stormy, queue, concurrency=1) as run:
        run.publish(LINES[:1])
        stormy.fault(kind="detach", condition=condition, at="idle", times=1, entity=queue)
        monkeypatch.setattr(sender.EntitySender, "send", read_then_send)
        run.publish(LINES[1:2])
        run.publish(LINES[2:3])

    assert [log["action"] for log in run.logs("servicebus.retry")] == ["reconnect"]
    assert bodies(stormy.receive(queue, 3)) == LINES[:3]


def test_a_deleted_entity_stops_the_run_immediately(stormy: Broker, new_name: Callable[[], str]) -> None:
    queue = stormy.create_queue(new_name())
    with publishing(stormy, queue) as run:
        run.publish(LINES[:10])
        with stormy.administration() as administration:
            administration.delete_queue(queue)
        with pytest.raises(DStreamError) as caught:
            run.publish(LINES[10:])
        with pytest.raises(DStreamError):
            run.write(LINES[:1])

    assert (caught.value.code, caught.value.kind) == ("servicebus.entity_not_found", "config")


@pytest.mark.parametrize(
    ("fault", "code", "kind"),
    [
        ({"kind": "reject", "condition": "amqp:unauthorized-access"}, "servicebus.unauthorized", "auth"),
        ({"kind": "reject", "condition": "com.microsoft:entity-disabled"}, "servicebus.entity_disabled", "config"),
        ({"kind": "reject", "condition": "com.microsoft:argument-error"}, "servicebus.refused", "data"),
    ],
)
def test_a_permanent_error_stops_the_run_with_its_cause(
    stormy: Broker, new_name: Callable[[], str], fault: dict[str, Any], code: str, kind: str
) -> None:
    queue = stormy.create_queue(new_name())
    with publishing(stormy, queue) as run:
        stormy.fault(**fault, times=1, entity=queue)
        with pytest.raises(DStreamError) as caught:
            run.publish(LINES[:1])

    assert (caught.value.code, caught.value.kind) == (code, kind)
    assert not run.logs("servicebus.retry")


def test_a_send_rejected_as_too_large_is_split(stormy: Broker, new_name: Callable[[], str]) -> None:
    queue = stormy.create_queue(new_name())
    with publishing(stormy, queue) as run:
        stormy.fault(kind="reject", condition="amqp:link:message-size-exceeded", times=2, entity=queue)
        run.publish(LINES)

    assert [retry["action"] for retry in run.logs("servicebus.retry")] == ["too_large"] * 2
    assert bodies(stormy.receive(queue, len(LINES))) == LINES


def test_a_dead_broker_shows_although_nothing_is_sent(
    own: Broker, new_name: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "IDLE_CHECK_S", 0.1)
    queue = own.create_queue(new_name())
    with publishing(own, queue) as run:
        run.publish(LINES[:1])

        def phase() -> str:
            run.provider.telemetry.beat()
            return str(json.loads(run.telemetry[-1]).get("phase", "stream"))

        assert phase() == "stream"
        own.kill()
        wait_until(lambda: phase() == "reconnecting", "the loss shows")
        own.start()
        wait_until(lambda: phase() == "stream", "the connection is back")
        run.publish(LINES[1:3])
        assert not run.logs("servicebus.retry")
    assert bodies(own.receive(queue, 3)) == LINES[:3]
