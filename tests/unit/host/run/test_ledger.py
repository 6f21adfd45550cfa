"""Rows settle only if the counts of the input, the host and the output agree."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstream.errors import SystemFault
from dstream.host.run.ledger import Ledger, Settled
from dstream.protocol.messages import Ack, Checkpoint, End


def state(n: int) -> msgspec.Raw:
    return msgspec.Raw(b'{"next":%d}' % n)


def opened(*counts: int) -> Ledger:
    ledger = Ledger()
    for seq, count in enumerate(counts, 1):
        ledger.relayed(count)
        ledger.opened(Checkpoint(seq, count, state(seq)))
    return ledger


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.data())
def test_any_valid_sequence_of_acks_settles_every_row_once(counts: list[int], data: st.DataObject) -> None:
    ledger = Ledger()
    acknowledged = 0
    for seq, count in enumerate(counts, 1):
        for part in split(count, data):
            ledger.relayed(part)
        ledger.opened(Checkpoint(seq, count, state(seq)))
        if data.draw(st.booleans()) or seq == len(counts):
            upto = data.draw(st.integers(acknowledged + 1, seq)) if seq < len(counts) else seq
            settled = ledger.acknowledged(Ack(upto, sum(counts[acknowledged:upto])))
            assert settled == Settled(upto, state(upto))
            acknowledged = upto
            assert ledger.in_flight == seq - upto
    ledger.ended(End(len(counts)))
    assert ledger.rows_relayed == ledger.rows_settled == sum(counts)
    assert (ledger.in_flight, ledger.uncovered, ledger.last_settled) == (0, 0, len(counts))


def split(count: int, data: st.DataObject) -> list[int]:
    first = data.draw(st.integers(0, count))
    return [first, count - first]


def test_a_checkpoint_must_count_the_relayed_rows() -> None:
    ledger = Ledger()
    ledger.relayed(3)
    fails("protocol.count_mismatch", lambda: ledger.opened(Checkpoint(1, 4, state(1))))


@pytest.mark.parametrize("seq", [0, 1, 3, -1])
def test_checkpoint_numbers_increase_by_one(seq: int) -> None:
    ledger = opened(5)
    fails("protocol.bad_sequence", lambda: ledger.opened(Checkpoint(seq, 0, state(1))))


@pytest.mark.parametrize("n", [0, 4, 6, 11])
def test_an_ack_must_count_the_covered_rows(n: int) -> None:
    ledger = opened(5, 6)
    fails("protocol.count_mismatch", lambda: ledger.acknowledged(Ack(1, n)))


@pytest.mark.parametrize("seq", [0, 1, 4])
def test_an_ack_cannot_go_backward_or_ahead(seq: int) -> None:
    ledger = opened(1, 1, 1)
    ledger.acknowledged(Ack(1, 1))
    fails("protocol.bad_sequence", lambda: ledger.acknowledged(Ack(seq, 1)))


@pytest.mark.parametrize("rejected", [-1, 6])
def test_an_ack_cannot_reject_more_rows_than_it_covers(rejected: int) -> None:
    ledger = opened(5)
    fails("protocol.count_mismatch", lambda: ledger.acknowledged(Ack(1, 5, rejected)))


def test_rejected_rows_count_as_settled() -> None:
    ledger = opened(5)
    ledger.acknowledged(Ack(1, 5, 2))
    assert (ledger.rows_settled, ledger.rows_rejected) == (5, 2)


def test_an_end_must_follow_the_last_checkpoint() -> None:
    ledger = opened(5)
    fails("protocol.bad_sequence", lambda: ledger.ended(End(2)))
    ledger.relayed(1)
    fails("protocol.count_mismatch", lambda: ledger.ended(End(1)))


def fails(code: str, act: object) -> None:
    assert callable(act)
    with pytest.raises(SystemFault) as caught:
        act()
    assert caught.value.code == code


def test_the_oldest_row_is_the_first_that_is_not_settled() -> None:
    ledger = Ledger()
    assert ledger.oldest_read_s is None
    ledger.opened(Checkpoint(1, 0, state(1)))
    ledger.relayed(2, 10.0)
    ledger.relayed(1, 11.0)
    assert ledger.oldest_read_s == 10.0
    ledger.opened(Checkpoint(2, 3, state(2)))
    ledger.relayed(1, 12.0)
    assert ledger.oldest_read_s == 10.0
    ledger.acknowledged(Ack(2, 3))
    assert ledger.oldest_read_s == 12.0
    ledger.opened(Checkpoint(3, 1, state(3)))
    ledger.acknowledged(Ack(3, 1))
    assert ledger.oldest_read_s is None
