"""Lag: what the input reports, what it cannot report while it cannot read, and rows that are not durable yet."""

from __future__ import annotations

from dstream.host.run.lag import Lag


def test_the_lag_is_unknown_until_the_input_reports_one() -> None:
    lag = Lag()
    lag.reported(None, 0.0, can_read=False)
    lag.cannot_read(1.0, 0.0)
    assert lag.ms(60.0, 0.0) is None


def test_the_lag_of_an_input_that_reads_is_what_it_reported() -> None:
    lag = Lag()
    lag.reported(500, 0.0, can_read=True)
    assert lag.ms(60.0, None) == 500


def test_the_lag_grows_while_the_input_cannot_read() -> None:
    lag = Lag()
    lag.reported(500, 0.0, can_read=True)
    lag.reported(1000, 60.0, can_read=False)
    assert lag.ms(70.0, None) == 11_000


def test_a_report_without_a_lag_keeps_the_last_one() -> None:
    lag = Lag()
    lag.reported(500, 0.0, can_read=True)
    lag.reported(None, 10.0, can_read=False)
    lag.reported(None, 20.0, can_read=False)
    assert lag.ms(25.0, None) == 15_500
    lag.reported(None, 30.0, can_read=True)
    assert lag.ms(40.0, None) == 30_500  # not known to have caught up
    lag.reported(0, 41.0, can_read=True)
    assert lag.ms(50.0, None) == 0


def test_rows_that_are_not_durable_count_from_when_they_were_read_at_the_source() -> None:
    lag = Lag()
    lag.reported(2000, 100.0, can_read=True)
    read_s = lag.read_s(100.0)
    assert read_s == 98.0
    lag.reported(0, 101.0, can_read=True)
    assert lag.ms(110.0, read_s) == 12_000
    assert lag.ms(110.0, None) == 0


def test_the_lag_of_a_lost_pair_grows_from_its_oldest_row() -> None:
    lag = Lag()
    lag.reported(0, 100.0, can_read=True)
    lag.cannot_read(110.0, oldest_read_s=95.0)
    assert lag.ms(120.0, None) == 25_000
