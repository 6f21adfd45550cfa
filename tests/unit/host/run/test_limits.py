"""When a run ends by itself."""

from __future__ import annotations

from dstream.host.run.limits import Limits


def test_without_limits_a_run_never_has_enough() -> None:
    limits = Limits(None, None)
    limits.started(0.0)
    assert not limits.are_reached(1e9, 10**9)


def test_the_time_counts_from_the_first_start_only() -> None:
    limits = Limits(10.0, None)
    assert not limits.are_reached(1e9, 0)
    limits.started(100.0)
    limits.started(105.0)
    assert not limits.are_reached(109.9, 0)
    assert limits.are_reached(110.0, 0)


def test_rows_are_enough_when_the_number_is_reached() -> None:
    limits = Limits(None, 5)
    assert not limits.are_reached(0.0, 4)
    assert limits.are_reached(0.0, 5)
    assert limits.are_reached(0.0, 9)
