from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dstream.protocol.messages import Ack
from dstream.sdk._settlement import Settlement, Span


def test_a_checkpoint_is_acknowledged_once_the_batch_before_it_is_durable() -> None:
    settlement = Settlement()
    settlement.lines(2)
    span = settlement.batch(2)
    settlement.checkpoint(1)
    assert settlement.ack() is None
    assert settlement.durable(span) == Ack(1, 2)


def test_a_checkpoint_without_rows_is_acknowledged_immediately() -> None:
    settlement = Settlement()
    settlement.checkpoint(1)
    assert settlement.ack() == Ack(1, 0)


def test_a_later_batch_that_is_durable_first_waits_for_the_earlier_one() -> None:
    settlement = Settlement()
    settlement.lines(1)
    first = settlement.batch(1)
    settlement.checkpoint(1)
    settlement.lines(1)
    second = settlement.batch(2)
    settlement.checkpoint(2)
    assert settlement.durable(second) is None
    assert settlement.durable(first, rejected=1) == Ack(2, 2, rejected=1)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.integers(1, 4), st.randoms(use_true_random=False))
def test_acks_never_run_ahead_and_add_up_to_all_lines(checkpoints: list[int], batch: int, random) -> None:  # type: ignore[no-untyped-def]
    settlement = Settlement()
    ends, total = {}, 0
    spans: list[Span] = []
    acks = []
    for seq, n in enumerate(checkpoints, 1):
        for _ in range(n):
            settlement.lines(1)
            total += 1
            if total % batch == 0:
                spans.append(settlement.batch(total))
        settlement.checkpoint(seq)
        ends[seq] = total
        acks.append(settlement.ack())
    if total % batch:
        spans.append(settlement.batch(total))
    random.shuffle(spans)
    for span in spans:
        acks.append(settlement.durable(span))
        open_ends = [other.end for other in spans if not other.durable]
        newest = max((ack.seq for ack in acks if ack), default=0)
        if open_ends and newest:
            # nothing after the start of the oldest open batch can be acknowledged
            assert ends[newest] <= (min(open_ends) - 1) // batch * batch
    given_acks = [ack for ack in acks if ack]
    assert [ack.seq for ack in given_acks] == sorted({ack.seq for ack in given_acks})
    assert given_acks[-1].seq == len(checkpoints)
    assert sum(ack.n for ack in given_acks) == total  # type: ignore[misc]
    assert not settlement.is_in_flight
