"""How `dstream sandbox sql` splits scripts into batches and shows values, column names and errors."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest
from dstream_sandbox.sql_script import as_json, as_text, batches, column_names, server_errors, server_note

_DRIVER = "[42S02] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]"


def test_go_separates_batches_and_a_number_repeats_one() -> None:
    assert list(batches("a\nb\nGO\nc\n go 2 ;\n\nGO\nd")) == ["a\nb", "c", "c", "d"]


@pytest.mark.parametrize("line", ["GOTO x", "SELECT GO", "GO x", "-- GO"])
def test_go_with_other_words_does_not_separate_batches(line: str) -> None:
    assert list(batches(f"a\n{line}\nb")) == [f"a\n{line}\nb"]


def test_an_empty_script_has_no_batch() -> None:
    assert list(batches(" \nGO\n\n")) == []


def test_an_error_has_the_message_of_sql_server() -> None:
    text = (
        f"{_DRIVER}Invalid object name 'x'. (208) (SQLExecDirectW); {_DRIVER}Second (7) [odd]. (50000) (SQLMoreResults)"
    )
    assert server_errors(text) == "Msg 208: Invalid object name 'x'.\nMsg 50000: Second (7) [odd]."


def test_a_driver_error_is_unchanged() -> None:
    assert server_errors("[08001] no route (0) (SQLDriverConnect)") == "[08001] no route (0) (SQLDriverConnect)"


def test_the_drivers_prefix_is_removed_from_a_print() -> None:
    assert server_note("[Microsoft][ODBC Driver 18 for SQL Server][SQL Server][x] said") == "[x] said"


def test_every_column_gets_a_unique_name() -> None:
    assert column_names(["", "Id", "Id", "", "Name"]) == ["column1", "Id", "Id_3", "column4", "Name"]


@pytest.mark.parametrize(
    ("value", "text", "json"),
    [
        (None, "NULL", None),
        (True, "1", True),
        (7, "7", 7),
        (0.1, "0.1", 0.1),
        (Decimal("0E-10"), "0.0000000000", "0.0000000000"),
        (Decimal("-1.50"), "-1.50", "-1.50"),
        (b"\x00\xff", "0x00FF", "0x00FF"),
        (datetime.date(2024, 2, 29), "2024-02-29", "2024-02-29"),
        ("é\t", "é\\t", "é\t"),
        ("\x1b[2J\n\u202e", "\\u001b[2J\\n\\u202e", "\x1b[2J\n\u202e"),
    ],
)
def test_values_keep_every_digit(value: object, text: str, json: object) -> None:
    assert as_text(value) == text
    assert as_json(value) == json
    assert type(as_json(value)) is type(json)
