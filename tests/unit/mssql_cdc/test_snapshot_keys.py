from __future__ import annotations

from dataclasses import replace

import pytest
from dstream_mssql_cdc.records.events import EventBuilder
from dstream_mssql_cdc.snapshot.keys import KeyColumn, SourceColumn, selected
from dstream_mssql_cdc.snapshot.reader import key_of
from dstream_mssql_cdc.snapshot.source import SourceTable

from tests.unit.mssql_cdc.change_log import ChangeLog, builder_for

KEYS = {
    "an int": (SourceColumn("Id", "int"), True),
    "a value of no fixed type": (SourceColumn("Id", "sql_variant"), False),
    "a computed column, which capture does not have": (SourceColumn("Twice", "int"), False),
}


@pytest.mark.parametrize(("column", "is_usable"), KEYS.values(), ids=KEYS)
def test_a_table_is_resumed_by_a_key_that_can_be_stored(column: SourceColumn, is_usable: bool) -> None:
    shape = builder_for(ChangeLog(["dbo.T"], []).captured()[0], "ci0").shape
    builder = EventBuilder(replace(shape, key=[column.name]))
    index = (KeyColumn(column),)
    assert key_of(SourceTable("[dbo].[T]", 5, 0, (), (index,)), builder) == (index if is_usable else ())


@pytest.mark.parametrize(("length", "type_"), [(20, "nvarchar(20)"), (8000, "nvarchar(4000)")])
def test_a_key_of_text_is_selected_with_a_type_that_exists(length: int, type_: str) -> None:
    assert selected(SourceColumn("Id", "varchar", length), "[Id]") == f"CONVERT({type_}, [Id])"
