from __future__ import annotations

import threading

import pytest
from dstream_sandbox.sqlserver.engine.cdc import lsn
from dstream_sandbox.sqlserver.engine.storage.connection import ci_key
from dstream_sandbox.sqlserver.engine.storage.locks import LockManager, LockOwner
from dstream_sandbox.sqlserver.engine.storage.log_counter import LogCounter
from dstream_sandbox.sqlserver.session import SqlError
from hypothesis import given
from hypothesis import strategies as some

counters = some.integers(0, 2**60)


@given(counters, counters)
def test_lsns_are_ordered_like_the_log_counter(a: int, b: int) -> None:
    x, y = lsn.from_counter(a), lsn.from_counter(b)
    assert len(x) == 10
    assert (x < y) == (a < b)
    assert (lsn.as_numeric(x) < lsn.as_numeric(y)) == (a < b)


def test_increment_and_decrement_carry_over_all_ten_bytes() -> None:
    assert lsn.moved(b"\0" * 8 + b"\xff\xff", 1) == b"\0" * 7 + b"\x01\0\0"
    assert lsn.moved(lsn.moved(lsn.from_counter(5), 1), -1) == lsn.from_counter(5)


def test_mask_bits_are_counted_from_the_last_byte() -> None:
    assert [lsn.is_bit_set(n, b"\x01\x02") for n in (1, 2, 9, 10, 17)] == [0, 1, 1, 0, 0]


def test_returned_numbers_are_reused_unless_more_were_taken() -> None:
    log = LogCounter(10)
    first = log.take(100)
    log.give_back(first, 100, 3)
    assert log.take() == first + 3
    second = log.take(100)
    log.take()
    log.give_back(second, 100, 3)
    assert log.take() == second + 101


def test_exclusive_locks_wait_and_shared_ones_do_not() -> None:
    locks = LockManager()
    a, b = LockOwner(1), LockOwner(2)
    assert locks.try_acquire(a, "r", "S")
    assert locks.try_acquire(b, "r", "S")
    assert not locks.try_acquire(b, "r", "X")
    with pytest.raises(SqlError) as raised:
        locks.acquire(b, "r", "X", 10)
    assert raised.value.number == 1222
    locks.release_all(a)
    assert locks.try_acquire(b, "r", "X")


def test_a_waiting_request_is_not_overtaken() -> None:
    locks = LockManager()
    writer, fence, late = LockOwner(1), LockOwner(2), LockOwner(3)
    locks.acquire(writer, "t", "IX", -1)
    waits = threading.Thread(target=locks.acquire, args=(fence, "t", "S", -1))
    waits.start()
    while not locks.blocked():
        pass
    assert not locks.try_acquire(late, "t", "IX")
    locks.release_all(writer)
    waits.join(60)
    assert "S" in fence.held["t"]


def test_the_request_that_completes_a_deadlock_is_the_victim() -> None:
    locks = LockManager()
    a, b = LockOwner(1), LockOwner(2)
    locks.acquire(a, "x", "X", -1)
    locks.acquire(b, "y", "X", -1)
    waits = threading.Thread(target=locks.acquire, args=(a, "y", "X", -1))
    waits.start()
    while not locks.blocked():
        pass
    with pytest.raises(SqlError) as raised:
        locks.acquire(b, "x", "X", -1)
    assert raised.value.number == 1205
    locks.release_all(b)
    waits.join(60)
    assert not waits.is_alive()


@pytest.mark.parametrize(("less", "more"), [("a", "B"), ("_x", "1"), ("9", "a"), ("e", "é"), ("é", "f"), ("a b", "ab")])
def test_text_order_ignores_case_with_punctuation_first_and_accents_last(less: str, more: str) -> None:
    assert ci_key(less) < ci_key(more)


def test_text_equality_ignores_case_and_trailing_spaces() -> None:
    assert ci_key("Ada  ") == ci_key("ADA")
    assert ci_key("Ä") == ci_key("ä")
