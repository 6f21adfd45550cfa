from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from dstream_mssql_cdc.catalog.columns import Choices, Column
from dstream_mssql_cdc.records.events import EventBuilder, TableShape
from dstream_mssql_cdc.records.schema_records import declared_type, due
from dstream_mssql_cdc.state import Instance, Table

LSN = "0000002a000000180022"
SHAPE = TableShape(
    "dbo.T",
    5,
    ["Id"],
    (Column("Id", "int", 1, 4), Column("Name", "nvarchar", 2, 100, hiding="hash")),
    "6f9619ff/5/",
    100,
    Choices(),
)
TABLE = Table(5, (Instance("dbo_T", 9, "2024-01-01", LSN),))


def emitted(table: Table, shape: TableShape) -> tuple[dict[str, Any] | None, Table]:
    found = due(table, EventBuilder(shape), "0000002a000000180099")
    return (msgspec.to_builtins(found[0]), found[1]) if found else (None, table)


def test_a_record_has_the_columns_and_the_key_of_the_table() -> None:
    record, table = emitted(TABLE, SHAPE)
    assert record is not None
    assert record["data"] == {
        "columns": [{"name": "Id", "type": "int"}, {"name": "Name", "type": "nvarchar(50)", "hiding": "hash"}],
        "key": ["Id"],
    }
    metadata = record["metadata"]
    assert (metadata["OperationType"], metadata["TableName"], metadata["LSN"]) == ("Schema", "dbo.T", LSN)
    assert metadata["Key"] == []
    assert table.schema is not None
    assert metadata["Id"] == f"6f9619ff/5/schema/1/{table.schema.digest}"


def test_a_record_is_emitted_again_only_for_another_shape() -> None:
    _, table = emitted(TABLE, SHAPE)
    assert emitted(msgspec.convert(msgspec.to_builtins(table), Table), SHAPE)[0] is None
    seen = []
    for shape in (
        replace(SHAPE, columns=(replace(SHAPE.columns[0], type="bigint"), SHAPE.columns[1])),
        SHAPE,
        replace(SHAPE, name="dbo.Renamed"),
        replace(SHAPE, key=[]),
    ):
        record, table = emitted(table, shape)
        assert record is not None
        seen.append(record["metadata"]["Id"].split("/")[3])
        assert emitted(table, shape)[0] is None
    assert seen == ["2", "3", "4", "5"]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (Column("C", "decimal", 1, 9, 2, precision=18), "decimal(18,2)"),
        (Column("C", "datetime2", 1, 8, 7), "datetime2(7)"),
        (Column("C", "varchar", 1, 20), "varchar(20)"),
        (Column("C", "nchar", 1, 20), "nchar(10)"),
        (Column("C", "nvarchar", 1, -1), "nvarchar(max)"),
        (Column("C", "xml", 1, -1), "xml"),
        (Column("C", "timestamp", 1, 8), "timestamp"),
    ],
)
def test_types_are_named_as_in_create_table(column: Column, text: str) -> None:
    assert declared_type(column) == text
