"""How properties and values are said to people."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstream.cli.view.words import change, kind, value, words
from dstream.protocol.messages import Difference


@pytest.mark.parametrize(
    ("given_", "path", "said"),
    [
        ("PT10M", "duplicateDetectionHistoryTimeWindow", "10m"),
        ("PT1H30M", "", "1h30m"),
        ("P14D", "defaultMessageTimeToLive", "14d"),
        ("PT0S", "", "0s"),
        ("PT0.5S", "", "0.5s"),
        ("P10675199DT2H48M5.4775807S", "", "unlimited"),
        ("P", "", "P"),
        ("PT", "", "PT"),
        (True, "requiresSession", "on"),
        (False, "", "off"),
        (None, "", "none"),
        ("", "", '""'),
        (10, "maxDeliveryCount", "10"),
        (1024, "maxSizeInMegabytes", "1 GB"),
        (1536, "max_size_in_megabytes", "1,536 MB"),
        (256, "maxMessageSizeInKilobytes", "256 KB"),
        (102400, "maxMessageSizeInKilobytes", "100 MB"),
        (["a", "b"], "rights", "a, b"),
        ([], "rights", "none"),
        ({"a": 1}, "tags", '{"a": 1}'),
    ],
)
def test_a_value_is_said_as_people_write_it(given_: Any, path: str, said: str) -> None:
    assert value(given_, path) == said


def test_a_unit_that_the_value_shows_is_not_in_the_name() -> None:
    assert words("maxSizeInMegabytes") == "max size"
    assert words("max_delivery_count") == "max delivery count"
    assert kind("azure-native:servicebus:AuthorizationRule") == "authorization rule"


def test_a_change_is_from_old_to_new_and_what_is_new_has_no_old() -> None:
    assert change(Difference("lockDuration", "PT30S", "PT1M")) == "30s → 1m"
    assert change(Difference("maxSizeInMegabytes", None, 5120)) == "5 GB"
    assert change(Difference("a", 1, None)) == "1 → unset"


@given(st.text())
def test_any_text_is_said(text: str) -> None:
    assert value(text)
