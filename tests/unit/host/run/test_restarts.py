"""Rule 9 as arithmetic: which errors are transient, how long to wait, and when to give up."""

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
    """A schedule without jitter: every delay is as long as possible."""
    return RestartSchedule(policy, lambda: 1.0)


def test_delays_double_from_1_s_to_60_s_and_it_gives_up_after_ten() -> None:
    schedule = full()
    starts = [schedule.next_start_s(LOST, 1000.0, was_ready=True) for _ in range(11)]
    assert starts == [1001, 1002, 1004, 1008, 1016, 1032, 1060, 1060, 1060, 1060, None]


def test_an_acknowledged_checkpoint_resets_the_attempts() -> None:
    schedule = full(RestartPolicy(max_attempts=2))
    for _ in range(3):
        assert schedule.next_start_s(LOST, 0.0, was_ready=True) == 1.0
        assert schedule.next_start_s(LOST, 0.0, was_ready=True) == 2.0
        schedule.acknowledged()
    assert schedule.next_start_s(LOST, 0.0, was_ready=True) == 1.0
    assert schedule.next_start_s(LOST, 0.0, was_ready=True) == 2.0
    assert schedule.next_start_s(LOST, 0.0, was_ready=True) is None


@given(st.floats(0, 1), st.integers(0, 5000))
def test_jitter_shortens_a_delay_by_at_most_half(chance: float, attempts: int) -> None:
    schedule = RestartSchedule(RestartPolicy(max_attempts=10_000), lambda: chance)
    schedule.attempts = attempts
    delay_s = schedule.next_start_s(LOST, 0.0, was_ready=True)
    longest_s = min(60.0, 2.0**attempts if attempts < 10 else 60.0)
    assert delay_s is not None
    assert longest_s / 2 <= delay_s <= longest_s


def test_a_provider_can_ask_for_a_longer_delay_but_not_a_shorter_one() -> None:
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
        (SystemFault("protocol.bad_line", "not valid JSON"), False, False),
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
def test_only_transient_errors_are_retried(error: DStreamError, before_ready: bool, once_ready: bool) -> None:
    assert (full().next_start_s(error, 0.0, was_ready=False) is not None) == before_ready
    assert (full().next_start_s(error, 0.0, was_ready=True) is not None) == once_ready


def test_without_attempts_nothing_is_retried() -> None:
    assert full(RestartPolicy(max_attempts=0)).next_start_s(LOST, 0.0, was_ready=True) is None


def test_the_delays_of_the_policy_apply() -> None:
    schedule = full(RestartPolicy(initial_delay_s=0.25, max_delay_s=0.6))
    assert [schedule.next_start_s(LOST, 0.0, was_ready=True) for _ in range(3)] == [0.25, 0.5, 0.6]


CRASH = SystemFault("provider.crashed", "KeyError: 'next'")


def crash(schedule: RestartSchedule, error: DStreamError = CRASH, *, has_progressed: bool = False) -> bool:
    """Return whether the run restarts after it."""
    expected = schedule.may_restart(error, was_ready=True, has_progressed=has_progressed)
    restarts = schedule.next_start_s(error, 0.0, was_ready=True, has_progressed=has_progressed) is not None
    assert restarts == expected
    return restarts


def test_the_third_crash_at_the_same_position_is_final() -> None:
    schedule = full()
    assert [crash(schedule, has_progressed=first) for first in (True, False, False)] == [True, True, False]
    assert schedule.is_crash_loop


def test_progress_or_another_error_between_crashes_starts_the_count_over() -> None:
    schedule = full()
    for _ in range(3):
        assert crash(schedule)
        assert crash(schedule)
        assert crash(schedule, SystemFault("provider.died", "exited with code 1"))
        schedule.acknowledged()
    for _ in range(5):
        assert crash(schedule, has_progressed=True)
        schedule.acknowledged()
    assert not schedule.is_crash_loop


@pytest.mark.parametrize(
    "error",
    [
        LOST,
        UnreachableError("sql.down", "no answer"),
        SystemFault("state.write_failed", "No space left on device"),
        SystemFault("system.failed", "No space left on device: /exports/orders.csv"),
        SystemFault("provider.silent", "silent for 60 s"),
        SystemFault("provider.not_ready", "no hello within 60 s"),
    ],
    ids=lambda error: error.code,
)
def test_an_outage_is_not_a_crash_loop(error: DStreamError) -> None:
    schedule = full()
    assert [crash(schedule, error) for _ in range(11)] == [True] * 10 + [False]
    assert not schedule.is_crash_loop
