from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from dstream_mssql_cdc.catalog.columns import Choices, Column
from dstream_mssql_cdc.records.events import ChangeEvent, EventBuilder, Metadata, TableShape, is_bit_set
from hypothesis import given, settings
from hypothesis import strategies as st

from dstream.sdk.errors import DataError

LSN = bytes.fromhex("0000002a000000180022")
SEQ = bytes.fromhex("0000002a000000180021")
ID, NAME = Column("Id", "int", 1), Column("Name", "nvarchar", 2, length=20)
NOTE, OLD = Column("Note", "nvarchar", 9, length=-1), Column("Old", "text", 17)


def events(columns: tuple[Column, ...], *rows: tuple[Any, ...], limit: int = 100) -> list[dict[str, Any]]:
    builder = EventBuilder(TableShape("dbo.T", 5, ["Id"], columns, "db/5/", limit, Choices()))
    times = {LSN: "2024-02-29T23:59:59.123"}
    return [json.loads(msgspec.json.encode(event)) for _, event in builder.events(rows, times)]


def test_an_update_is_one_event_with_its_before_image() -> None:
    (event,) = events((ID, NAME), (LSN, 1, SEQ, 3, b"\x02", 7, "A."), (LSN, 1, SEQ, 4, b"\x02", 7, "Ada"))
    assert event == {
        "data": {"Id": 7, "Name": "Ada"},
        "before": {"Id": 7, "Name": "A."},
        "metadata": {
            "V": 1,
            "TableName": "dbo.T",
            "OperationType": "Update",
            "OperationID": 4,
            "LSN": "0000002a000000180022",
            "Seq": "0000002a000000180021",
            "CommandId": 1,
            "CommitTime": "2024-02-29T23:59:59.123",
            "Key": ["Id"],
            "Changed": ["Name"],
            "Unchanged": [],
            "Id": "db/5/0000002a000000180022/1/0000002a000000180021/4",
        },
    }


def test_an_update_without_a_before_image_is_an_event() -> None:
    (event,) = events((ID, NAME), (LSN, 1, SEQ, 4, b"\x02", 7, "Ada"))
    assert "before" not in event


def test_inserts_and_deletes_carry_the_row_and_no_before_image() -> None:
    inserted, deleted = events((ID,), (LSN, 1, SEQ, 1, b"\x01", 7), (LSN, 2, SEQ, 2, b"\x01", 8))
    assert [inserted["metadata"]["OperationType"], deleted["metadata"]["OperationType"]] == ["Delete", "Insert"]
    assert [inserted["data"], deleted["data"]] == [{"Id": 7}, {"Id": 8}]


def test_a_large_value_not_touched_by_an_update_is_unchanged_not_null() -> None:
    (event,) = events(
        (ID, NAME, NOTE),
        (LSN, 1, SEQ, 3, b"\x00\x02", 7, "A", None, None),
        (LSN, 1, SEQ, 4, b"\x00\x02", 7, "B", None, None),
    )
    assert (event["data"], event["before"]) == ({"Id": 7, "Name": "B"}, {"Id": 7, "Name": "A"})
    assert event["metadata"]["Unchanged"] == ["Note"]


def test_a_large_value_that_an_update_set_to_null_is_null() -> None:
    (event,) = events(
        (ID, NOTE),
        (LSN, 1, SEQ, 3, b"\x01\x00", 7, "old", 6),
        (LSN, 1, SEQ, 4, b"\x01\x00", 7, None, None),
    )
    assert (event["data"], event["before"]) == ({"Id": 7, "Note": None}, {"Id": 7, "Note": "old"})
    assert (event["metadata"]["Changed"], event["metadata"]["Unchanged"]) == (["Note"], [])


def test_an_inserted_null_is_null() -> None:
    (event,) = events((ID, NOTE, OLD), (LSN, 1, SEQ, 2, b"\x01\x01\x01", 7, None, None, None, None))
    assert event["data"] == {"Id": 7, "Note": None, "Old": None}


def test_text_columns_are_unknown_in_deletes_and_before_images() -> None:
    deleted, updated = events(
        (ID, OLD),
        (LSN, 1, SEQ, 1, b"\x01\x00\x01", 7, None, None),
        (LSN, 2, SEQ, 3, b"\x01\x00\x00", 7, None, None),
        (LSN, 2, SEQ, 4, b"\x01\x00\x00", 7, "new", 3),
    )
    assert (deleted["data"], deleted["metadata"]["Unchanged"]) == ({"Id": 7}, ["Old"])
    assert (updated["data"], updated["before"]) == ({"Id": 7, "Old": "new"}, {"Id": 7})


def test_the_error_for_an_oversized_value_names_table_key_size_and_fix() -> None:
    with pytest.raises(DataError) as caught:
        events((ID, NOTE), (LSN, 1, SEQ, 2, b"\x01\x01", 7, None, 101))
    shown = f"{caught.value.message} {caught.value.hint}"
    assert all(part in shown for part in ("dbo.T.Note", "Id=7", "101", "max_line", "exclude"))


def test_hashed_values_are_equal_for_equal_json_forms_and_depend_on_the_key() -> None:
    email, total = Column("Email", "nvarchar", 2, 20, hiding="hash"), Column("Total", "decimal", 3, 9, 2, "hash")
    rows = [(LSN, command, SEQ, 2, b"\x07", command, "ada@é.org", Decimal("1.50")) for command in (1, 2)]
    first, second = hidden((ID, email, total), rows, b"key")
    assert first["data"] == {
        "Id": 1,
        "Email": hmac.digest(b"key", "ada@é.org".encode(), "sha256").hex(),
        "Total": hmac.digest(b"key", b"1.50", "sha256").hex(),
    }
    assert {**second["data"], "Id": 1} == first["data"]
    (other, _) = hidden((ID, email, total), rows, b"other key")
    assert other["data"]["Email"] != first["data"]["Email"]


def hidden(columns: tuple[Column, ...], rows: list[tuple[Any, ...]], key: bytes) -> list[dict[str, Any]]:
    builder = EventBuilder(TableShape("dbo.T", 5, ["Id"], columns, "db/5/", 100, Choices(hash_key=key)))
    return [json.loads(msgspec.json.encode(event)) for _, event in builder.events(rows, {})]


def test_null_is_not_hidden() -> None:
    (event,) = hidden(
        (ID, Column("Email", "nvarchar", 2, 20, hiding="hash")), [(LSN, 1, SEQ, 2, b"\x03", 7, None)], b"k"
    )
    assert event["data"] == {"Id": 7, "Email": None}


def test_the_server_replaces_redacted_values() -> None:
    columns = (ID, replace(NOTE, hiding="redact"), Column("Place", "vector", 3, hiding="redact"))
    builder = EventBuilder(TableShape("dbo.T", 5, ["Id"], columns, "", 100, Choices()))
    assert builder.select_list(lambda name: f"[{name}]")[:3] == [
        "[Id]",
        "CASE WHEN [Note] IS NOT NULL THEN '***' END",
        "CASE WHEN [Place] IS NOT NULL THEN '***' END",
    ]


def test_an_error_does_not_show_a_hidden_key() -> None:
    builder = EventBuilder(TableShape("dbo.T", 5, ["Id"], (replace(ID, hiding="hash"), NOTE), "", 100, Choices()))
    with pytest.raises(DataError) as caught:
        builder.events([(LSN, 1, SEQ, 2, b"\x01\x01", 4711, None, 101)], {})
    assert "4711" not in f"{caught.value.message} {caught.value.hint}"


def test_updates_of_other_columns_are_skipped_if_asked() -> None:
    rows = [
        (LSN, 1, SEQ, 3, b"\x04", 7, "A."),
        (LSN, 1, SEQ, 4, b"\x04", 7, "A."),
        (LSN, 2, SEQ, 3, b"\x02", 7, "A."),
        (LSN, 2, SEQ, 4, b"\x02", 7, "Ada"),
        (LSN, 3, SEQ, 1, b"\x07", 7, "Ada"),
    ]
    shape = TableShape("dbo.T", 5, ["Id"], (ID, NAME), "db/5/", 100, Choices())
    _, *wanted = (msgspec.json.encode(event) for _, event in EventBuilder(shape).events(rows, {}))
    left = EventBuilder(replace(shape, skip_unchanged=True)).events(rows, {})
    assert [msgspec.json.encode(event) for _, event in left] == wanted


def test_half_an_update_is_an_error() -> None:
    with pytest.raises(DataError, match="without its after image"):
        events((ID,), (LSN, 1, SEQ, 3, b"\x01", 7), (LSN, 2, SEQ, 2, b"\x01", 8))


def test_a_row_without_a_command_id_has_none() -> None:
    (event,) = events((ID,), (LSN, None, SEQ, 2, b"\x01", 7))
    assert event["metadata"]["CommandId"] is None
    assert event["metadata"]["Id"] == f"db/5/{LSN.hex()}/0/{SEQ.hex()}/2"


def test_any_column_name_is_written_unchanged() -> None:
    names = ['we"ird', "back\\slash", "tab\t", "ünï", "with space", "c0"]
    columns = (ID, *(Column(name, "int", at) for at, name in enumerate(names, 2)))
    (event,) = events(columns, (LSN, 1, SEQ, 2, b"\xff", 0, 1, 2, 3, 4, 5, 6))
    assert event["data"] == {"Id": 0, **{name: at for at, name in enumerate(names, 1)}}


@settings(deadline=None)
@given(ordinal=st.integers(1, 1024), other=st.integers(1, 1024))
def test_the_update_mask_starts_at_its_last_byte(ordinal: int, other: int) -> None:
    mask = (1 << (ordinal - 1)).to_bytes(128)
    assert is_bit_set(mask, other) == (ordinal == other)


def test_large_columns_are_selected_with_their_length_and_a_size_guard() -> None:
    builder = EventBuilder(TableShape("dbo.T", 5, ["Id"], (ID, NOTE, OLD), "", 100, Choices()))
    assert builder.select_list(lambda name: f"[{name}]") == [
        "[Id]",
        "CASE WHEN DATALENGTH([Note]) > 100 THEN NULL ELSE [Note] END",
        "CASE WHEN DATALENGTH([Old]) > 100 THEN NULL ELSE CONVERT(varchar(max), [Old]) END",
        "DATALENGTH([Note])",
        "DATALENGTH([Old])",
    ]


def test_the_published_schema_lists_the_fields_of_an_event() -> None:
    text = (Path(__file__).parents[3] / "docs/reference/schemas/change-event.schema.json").read_text()
    schema = json.loads(text)
    fields = {field.encode_name for field in msgspec.structs.fields(Metadata)}
    metadata = schema["properties"]["metadata"]
    assert set(metadata["properties"]) == fields
    assert set(metadata["required"]) == fields - {"Last", "Overlap"}
    assert set(schema["properties"]) == {field.encode_name for field in msgspec.structs.fields(ChangeEvent)}


def test_bytes_are_counted_only_if_the_declared_sizes_could_exceed_the_limit() -> None:
    names = [Column(f"C{at}", "nvarchar", at, length=800) for at in range(1, 6)]
    large = Column("Note", "nvarchar", 6, length=-1)

    def builder(columns: Sequence[Column]) -> EventBuilder:
        return EventBuilder(TableShape("dbo.T", 1, [], tuple(columns), "", 1_000_000, Choices()))

    assert builder(names).is_wide
    assert builder(names).is_within(10, 10 * 5 * 800)
    assert not builder(names).is_within(10, 10 * 5 * 800 - 1)
    assert not builder([*names, large]).is_within(1, 1_000_000)
