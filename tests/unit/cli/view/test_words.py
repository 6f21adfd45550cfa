"""How properties and values are displayed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstream.cli.view.words import change, held, kind, label, loss, value, words
from dstream.protocol.lifecycle import ListedResource
from dstream.protocol.messages import Difference


@pytest.mark.parametrize(
    ("given_", "shown"),
    [
        ("PT10M", "10m"),
        ("PT1H30M", "1h30m"),
        ("P14D", "14d"),
        ("PT0S", "0s"),
        ("PT0.5S", "0.5s"),
        ("P", "P"),
        ("PT", "PT"),
        (True, "on"),
        (False, "off"),
        (None, "none"),
        ("", '""'),
        (10, "10"),
        (1024, "1024"),
        (["a", "b"], "a, b"),
        ([], "none"),
        ({"a": 1}, '{"a": 1}'),
    ],
)
def test_a_value_is_displayed_in_its_usual_form(given_: Any, shown: str) -> None:
    assert value(given_) == shown


def test_names_without_a_display_text_are_split_into_words() -> None:
    assert words("maxSizeInMegabytes") == "max size in megabytes"
    assert words("max_delivery_count") == "max delivery count"
    assert kind(ListedResource(type="acme:storage:BlobContainer")) == "blob container"


def test_provider_display_texts_replace_names_and_values() -> None:
    assert kind(ListedResource(type="acme:storage:BlobContainer", kind="bucket")) == "bucket"
    assert label(Difference("maxSizeInMegabytes", label="max size")) == "max size"
    assert change(Difference("maxSizeInMegabytes", 1024, 5120, "max size", "1GB", "5GB")) == "1GB → 5GB"


def test_a_change_shows_the_old_and_the_new_value() -> None:
    assert change(Difference("lockDuration", "PT30S", "PT1M")) == "30s → 1m"
    assert change(Difference("maxSizeInMegabytes", None, 5120, new_text="5GB")) == "5GB"
    assert change(Difference("a", 1, None, new_text="none")) == "1 → unset"


def test_a_change_of_white_space_alone_is_visible() -> None:
    assert change(Difference("filter", "x = 1\n", "x = 1")) == '"x = 1\\n" → "x = 1"'
    assert change(Difference("filter", "x = 1\n", "x = 2")) == "x = 1\n\n→ x = 2"


def test_a_loss_names_what_the_resource_holds() -> None:
    rows, unnamed = ListedResource(holds=1284, held="rows"), ListedResource(holds=3)
    assert (loss(rows), loss(unnamed)) == ("holds 1,284 rows that would be lost", "holds 3 that would be lost")
    assert held([rows, unnamed, rows]) == "rows and data"


@given(st.text())
def test_any_text_can_be_displayed(text: str) -> None:
    assert value(text)
