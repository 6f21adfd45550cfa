"""Rule 9 as arithmetic: which errors may pass, how long to wait, and when to give up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstream.errors import (
    AuthError,
    ConfigError,
    DataError,
    DStreamError,
    LockedError,
    RefusedError,
    SystemFault,
    TransientError,
    UnreachableError,
)
from dstream.host import RestartPolicy
from dstream.host.run.restarts import RestartSchedule

LOST = TransientError("rows.lost", "connection lost")


DEFAULT = RestartPolicy()


def full(policy: RestartPolicy = DEFAULT) -> RestartSchedule:
    """Without luck: each pause as long as it can be."""
    return RestartSchedule(policy, lambda: 1.0)


def test_pauses_double_from_a_second_to_a_minute_and_after_ten_it_gives_up() -> None:
    schedule = full()
    starts = [schedule.next_start_s(LOST, 1000.0, was_ready=True) for _ in range(11)]
    assert starts == [1001, 1002, 1004, 1008, 1016, 1032, 1060, 1060, 1060, 1060, None]


def test_an_acknowledged_checkpoint_begins_the_count_anew() -> None:
    schedule = full(RestartPolicy(max_attempts=2))
    for _ in range(3):
        assert schedule.next_start_s(LOST, 0.0, was_ready=True) == 1.0
        assert schedule.next_start_s(LOST, 0.0, was_ready=True) == 2.0
        schedule.acknowledged()
    assert schedule.next_start_s(LOST, 0.0, was_ready=True) == 1.0
    assert schedule.next_start_s(LOST, 0.0, was_ready=True) == 2.0
    assert schedule.next_start_s(LOST, 0.0, was_ready=True) is None


@given(st.floats(0, 1), st.integers(0, 5000))
def test_chance_shortens_a_pause_by_half_at_most(chance: float, attempts: int) -> None:
    schedule = RestartSchedule(RestartPolicy(max_attempts=10_000), lambda: chance)
    schedule.attempts = attempts
    pause_s = schedule.next_start_s(LOST, 0.0, was_ready=True)
    longest_s = min(60.0, 2.0**attempts if attempts < 10 else 60.0)
    assert pause_s is not None
    assert longest_s / 2 <= pause_s <= longest_s


def test_a_provider_may_ask_for_a_longer_pause_but_not_for_a_shorter_one() -> None:
    busy = TransientError("rows.busy", "come back later", retry_after_s=90.0)
    soon = TransientError("rows.busy", "come back soon", retry_after_s=0.1)
    assert full().next_start_s(busy, 5.0, was_ready=True) == 95.0
    assert full().next_start_s(soon, 5.0, was_ready=True) == 6.0


@pytest.mark.parametrize(
    ("error", "before_ready", "once_ready"),
    [
        (LOST, True, True),
        (UnreachableError("sql.down", "no answer"), False, True),
        (SystemFault("provider.died", "exited with code 1"), False, True),
        (SystemFault("provider.silent", "silent"), False, True),
        (SystemFault("protocol.end_missing", "exited with code 0 without an end line"), False, True),
        (SystemFault("protocol.count_mismatch", "a row was lost"), False, False),
        (SystemFault("protocol.bad_sequence", "1 after 3"), False, False),
        (SystemFault("protocol.bad_line", "no JSON"), False, False),
        (SystemFault("provider.late_hello", "rows may be lost"), False, False),
        (SystemFault("state.secret", "a secret in the state"), False, False),
        (ConfigError("a.b", ""), False, False),
        (AuthError("a.b", ""), False, False),
        (LockedError("a.b", ""), False, False),
        (RefusedError("a.b", ""), False, False),
        (DataError("a.b", ""), False, False),
    ],
    ids=lambda value: getattr(value, "code", None) and f"{value.kind} {value.code}",
)
def test_what_may_pass_is_tried_again(error: DStreamError, before_ready: bool, once_ready: bool) -> None:
    assert (full().next_start_s(error, 0.0, was_ready=False) is not None) == before_ready
    assert (full().next_start_s(error, 0.0, was_ready=True) is not None) == once_ready


def test_with_no_attempts_nothing_is_tried_again() -> None:
    assert full(RestartPolicy(max_attempts=0)).next_start_s(LOST, 0.0, was_ready=True) is None


def test_the_policys_own_delays_count() -> None:
    schedule = full(RestartPolicy(initial_delay_s=0.25, max_delay_s=0.6))
    assert [schedule.next_start_s(LOST, 0.0, was_ready=True) for _ in range(3)] == [0.25, 0.5, 0.6]
