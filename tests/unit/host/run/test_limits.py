"""The limits at which a run stops by itself."""

from __future__ import annotations

from dstream.host.run.limits import Limits


def test_without_limits_a_run_never_stops() -> None:
    limits = Limits(None, None)
    limits.started(0.0)
    assert not limits.are_reached(1e9, 10**9)


def test_the_duration_counts_from_the_first_start() -> None:
    limits = Limits(10.0, None)
    assert not limits.are_reached(1e9, 0)
    limits.started(100.0)
    limits.started(105.0)
    assert not limits.are_reached(109.9, 0)
    assert limits.are_reached(110.0, 0)


def test_a_run_stops_at_max_rows() -> None:
    limits = Limits(None, 5)
    assert not limits.are_reached(0.0, 4)
    assert limits.are_reached(0.0, 5)
    assert limits.are_reached(0.0, 9)
