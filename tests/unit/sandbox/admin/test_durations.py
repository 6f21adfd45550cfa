"""Durations and timestamps of the admin API."""

from __future__ import annotations

import pytest
from dstream_sandbox.servicebus.admin.durations import format_duration, format_moment, parse_duration, parse_moment
from dstream_sandbox.servicebus.broker.descriptions import FOREVER_S
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT1M", 60),
        ("PT10M", 600),
        ("P14D", 14 * 86400),
        ("P1DT2H3M4.5S", 93784.5),
        ("PT0.25S", 0.25),
        ("PT0S", 0),
        ("P10675199DT2H48M5.4775807S", FOREVER_S),
    ],
)
def test_durations_are_parsed_and_formatted(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds
    assert format_duration(seconds) == text


@pytest.mark.parametrize("text", ["P10675199DT2H48M5.477581S", "P10675199DT2H48M5.47758S", "P99999999D"])
def test_rounded_forms_of_forever_are_forever(text: str) -> None:
    assert parse_duration(text) == FOREVER_S


@pytest.mark.parametrize("text", ["", "P", "PT", "1M", "P1Y", "P1M", "-PT1M", "PT1M ", "00:01:00"])
def test_an_invalid_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a valid time span"):
        parse_duration(text)


@given(st.integers(0, 10**13))
def test_durations_survive_a_round_trip_to_the_millisecond(milliseconds: int) -> None:
    assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds


def test_timestamps_are_utc_with_seven_digits() -> None:
    assert format_moment(1_800_000_000.25) == "2027-01-15T08:00:00.2500000Z"
    assert parse_moment("2027-01-15T08:00:00.2500000Z") == 1_800_000_000.25
    assert parse_moment("2027-01-15T09:00:00+01:00") == 1_800_000_000
    assert format_moment(0) == "0001-01-01T00:00:00Z"
    assert parse_moment("0001-01-01T00:00:00Z") == 0
