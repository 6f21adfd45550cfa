from __future__ import annotations

from dstream.sdk._pace import IDLE_INTERVAL_S, INTERVAL_S, LINES, Mark, Pace


def test_the_first_checkpoint_is_written_immediately_even_without_rows() -> None:
    assert Pace().offer({"start": 1}, now=5.0) == Mark(1, 0, {"start": 1})


def test_checkpoints_within_the_interval_are_merged() -> None:
    pace = Pace()
    pace.offer({"at": 0}, now=0.0)
    for n in range(1, 6):
        pace.lines(1)
        assert pace.offer({"at": n}, now=INTERVAL_S / 10 * n) is None
    pace.lines(1)
    assert pace.offer({"at": 6}, now=INTERVAL_S) == Mark(2, 6, {"at": 6})


def test_a_thousand_lines_do_not_wait_for_the_interval() -> None:
    pace = Pace()
    pace.offer({}, now=0.0)
    pace.lines(LINES)
    assert pace.offer({"at": LINES}, now=0.0) == Mark(2, LINES, {"at": LINES})


def test_going_idle_writes_a_checkpoint_for_covered_lines_only() -> None:
    pace = Pace()
    pace.offer({}, now=0.0)
    pace.lines(3)
    assert pace.offer({"at": 3}, now=0.01) is None
    pace.lines(2)
    assert pace.idle(now=0.02) == Mark(2, 3, {"at": 3})
    assert pace.uncovered_lines == 2
    assert pace.idle(now=0.03) is None


def test_a_position_without_new_rows_is_written_every_ten_seconds() -> None:
    pace = Pace()
    pace.offer({"at": 0}, now=0.0)
    assert pace.offer({"at": 1}, now=IDLE_INTERVAL_S / 2) is None
    assert pace.idle(now=IDLE_INTERVAL_S / 2) is None
    assert pace.offer({"at": 2}, now=IDLE_INTERVAL_S) == Mark(2, 0, {"at": 2})


def test_the_end_writes_the_latest_state_even_without_rows() -> None:
    pace = Pace()
    pace.offer({"at": 0}, now=0.0)
    pace.offer({"at": 1}, now=0.1)
    assert pace.end(now=0.2) == Mark(2, 0, {"at": 1})
    assert pace.end(now=0.3) is None


def test_a_checkpoint_that_the_input_waits_for_is_written_at_once() -> None:
    pace = Pace()
    pace.offer({"at": 0}, now=0.0)
    pace.lines(1)
    assert pace.offer({"at": 1}, now=0.01) is None
    assert pace.offer({"at": 2}, now=0.02, at_once=True) == Mark(2, 1, {"at": 2})
    assert pace.offer({"at": 3}, now=0.03, at_once=True) == Mark(3, 0, {"at": 3})
