from __future__ import annotations

import math

import pytest
from dstream_servicebus.publish.batches import Cut
from dstream_servicebus.publish.lanes import Lane, LaneKey, Ticket
from dstream_servicebus.publish.message import Message
from hypothesis import given
from hypothesis import strategies as st

from dstream.sdk import Batch
from tests.unit.servicebus.messages import PLAIN, messages

ALL = Cut(1 << 30, 1 << 30)


def new_lane() -> Lane:
    return Lane(LaneKey("q", None, None))


def new_ticket(count: int) -> Ticket:
    return Ticket(Batch([], 0), count)


def settle(lane: Lane, count: int) -> None:
    for ticket, part in lane.settle(count):
        ticket.settle(part)


def test_messages_keep_their_order_across_writes() -> None:
    lane = new_lane()
    first, second = messages(3), messages(2)
    lane.add(new_ticket(3), first)
    lane.add(new_ticket(2), second)

    assert lane.head(ALL) == first + second


def test_unsettled_messages_are_sent_again() -> None:
    lane = new_lane()
    lane.add(new_ticket(3), messages(3))

    once = lane.head(Cut(1 << 30, 2))

    assert lane.head(Cut(1 << 30, 2)) == once


def test_a_write_is_done_once_its_last_message_is_settled() -> None:
    lane = new_lane()
    first, second = new_ticket(3), new_ticket(2)
    lane.add(first, messages(3))
    lane.add(second, messages(2))

    settle(lane, 2)
    assert not first.future.done()
    settle(lane, 2)
    assert first.future.done()
    assert not second.future.done()
    settle(lane, 1)
    assert second.future.done()
    assert not lane


def test_settling_a_part_keeps_the_rest_in_order() -> None:
    lane = new_lane()
    all_of_them = messages(9)
    lane.add(new_ticket(5), all_of_them[:5])
    lane.add(new_ticket(4), all_of_them[5:])

    settle(lane, 2)

    assert lane.head(ALL) == all_of_them[2:]


def test_a_pack_can_be_replaced_by_its_rows() -> None:
    lane = new_lane()
    rows = messages(4)
    pack = Message.of(PLAIN, "pack", b"", b"", tuple(rows[1:3]))
    ticket = new_ticket(3)
    lane.add(ticket, [rows[0], pack, rows[3]])

    settle(lane, 1)
    lane.split()

    assert lane.head(ALL) == rows[1:]
    settle(lane, 2)
    assert not ticket.future.done()
    settle(lane, 1)
    assert ticket.future.done()


def test_rejected_messages_are_counted_in_their_batch() -> None:
    batch = Batch([], 0)
    ticket = Ticket(batch, 2)

    ticket.settle(1, rejected=True)
    ticket.settle(1)

    assert batch.rejected == 1
    assert ticket.future.done()


def test_a_failed_write_stays_failed() -> None:
    ticket = new_ticket(1)
    ticket.fail(RuntimeError("gone"))
    ticket.fail(RuntimeError("later"))

    ticket.settle(1)

    with pytest.raises(RuntimeError, match="gone"):
        ticket.future.result(0)


def test_an_empty_write_is_done_immediately() -> None:
    assert new_ticket(0).future.done()


@given(count=st.integers(1, 300), poisoned=st.sets(st.integers(0, 299)), full=st.integers(1, 100))
def test_every_poisoned_message_is_found_and_the_others_are_sent_in_order(
    count: int, poisoned: set[int], full: int
) -> None:
    lane, ticket, cut = new_lane(), new_ticket(count), Cut(1 << 30, full)
    lane.add(ticket, messages(count))
    accepted: list[str] = []
    found: list[str] = []
    sends = 0
    while lane:
        sends += 1
        sent = [message.message_id for message in lane.head(cut)]
        if not poisoned & set(map(int, sent)):
            accepted += sent
            lane.widen()
            lane.settle(len(sent))
        elif len(sent) == 1:
            found += sent
            lane.settle(1)
        else:
            lane.narrow(len(sent))

    bad = sorted(poisoned & set(range(count)))
    assert found == [str(n) for n in bad]
    assert accepted == [str(n) for n in range(count) if n not in poisoned]
    assert sends <= 1 + count / full + len(bad) * 4 * (1 + math.log2(full))
