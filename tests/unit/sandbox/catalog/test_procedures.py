"""Catalog procedures on a few fixed views."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from dstream_sandbox.sqlserver.catalog import CATALOG_PROCEDURES
from dstream_sandbox.sqlserver.catalog.column_sizes import column_size
from dstream_sandbox.sqlserver.catalog.objects import CatalogColumn
from dstream_sandbox.sqlserver.catalog.results import matches
from dstream_sandbox.sqlserver.catalog.type_facts import type_facts
from dstream_sandbox.sqlserver.session import Column, Columns, Done, Event, Message, Param, ReturnStatus, Rows, SqlError
from dstream_sandbox.sqlserver.values import MAX, Row, SqlType

INT = SqlType("int")
TEXT = SqlType("nvarchar", 128)


class Views:
    """A session that returns fixed rows for each view."""

    database = "demo"

    def execute(self, sql: str, params: Sequence[Param] = (), *, declarations: str = "") -> Iterator[Event]:
        for view, rows in VIEWS.items():
            if f"FROM {view}" in sql:
                return iter([Columns((Column("x", INT),)), Rows(rows), Done(len(rows), is_select=True)])
        return iter([Message(208, 16, 1, f"Invalid object name in {sql}")])

    def describe(self, sql: str, declarations: str = "") -> tuple[Column, ...]:
        return (
            Column("a", SqlType("varchar", 10, collation="Latin1_General_100_CS_AS")),
            Column("b", INT, identity=True),
        )

    def describe_parameters(self, sql: str, declarations: str = "") -> list[tuple[str, SqlType]]:
        return [("@P1", SqlType("datetime2", scale=3))]


VIEWS: dict[str, list[Row]] = {
    "sys.objects": [
        (10, "dbo", "orders", "U "),
        (11, "cdc", "orders_CT", "U "),
        (12, "dbo", "recent", "V "),
        (13, "dbo", "tidy", "P "),
    ],
    "sys.default_constraints": [(2, "('x')")],
    "sys.columns": [
        (1, "id", "int", 4, 10, 0, False, True, False),
        (2, "name", "nvarchar", 100, 0, 0, True, False, False),
    ],
    "sys.indexes": [(1, "pk", 1, True, True), (2, "ix", 2, False, False)],
    "sys.index_columns": [(1, 1, "id", False), (2, 1, "name", True), (2, 2, "id", False)],
    "sys.databases": [("demo",), ("master",)],
    "sys.schemas": [("cdc",), ("dbo",)],
}


def call(name: str, *values: str | int | None, **named: str | int | None) -> list[Row]:
    params = [Param("", INT if isinstance(value, int) else TEXT, value) for value in values]
    params += [Param(f"@{key}", INT if isinstance(value, int) else TEXT, value) for key, value in named.items()]
    events = list(CATALOG_PROCEDURES[name](Views(), params))
    assert isinstance(events[0], Columns)
    assert events[-1] == ReturnStatus(0)
    rows = [row for event in events if isinstance(event, Rows) for row in event.rows]
    assert all(len(row) == len(events[0].columns) for row in rows)
    return rows


def test_tables_are_found_by_pattern_owner_and_kind() -> None:
    assert [row[1:4] for row in call("sp_tables", "o%")] == [("cdc", "orders_CT", "TABLE"), ("dbo", "orders", "TABLE")]
    assert [row[2] for row in call("sp_tables", None, "dbo", None, "'TABLE','VIEW'")] == ["orders", "recent"]
    assert [row[2] for row in call("sp_tables", None, None, None, "'VIEW'")] == ["recent"]
    assert call("sp_tables", "o%", fusepattern=0) == []


def test_another_database_is_error_15250() -> None:
    with pytest.raises(SqlError, match="must be the name of the current database"):
        call("sp_columns_100", "orders", None, "elsewhere")


def test_an_unknown_argument_is_error_8145_and_too_many_are_8144() -> None:
    with pytest.raises(SqlError, match="@nonsense is not a parameter"):
        call("sp_tables", nonsense=1)
    with pytest.raises(SqlError, match="too many arguments"):
        call("sp_pkeys", "a", "b", "c", "d")


def test_columns_have_their_odbc_sizes() -> None:
    rows = call("sp_columns_100", "orders", "dbo", odbcver=3)
    assert [(row[3], row[5], row[6], row[7], row[12], row[17]) for row in rows] == [
        ("id", "int identity", 10, 4, None, "NO"),
        ("name", "nvarchar", 50, 100, "('x')", "YES"),
    ]
    assert [row[3] for row in call("sp_columns", "orders", "dbo", None, "n%")] == ["name"]


def test_keys_are_listed_in_order() -> None:
    assert [row[3:] for row in call("sp_pkeys", "orders", "dbo")] == [("id", 1, "pk")]
    rows = call("sp_statistics_100", "orders", "dbo")
    assert [(row[3], row[5], row[7], row[8], row[9]) for row in rows] == [
        (None, None, None, None, None),
        (0, "pk", 1, "id", "A"),
        (1, "ix", 1, "name", "D"),
        (1, "ix", 2, "id", "A"),
    ]
    assert [row[5] for row in call("sp_statistics_100", "orders", "dbo", is_unique="Y")] == [None, "pk"]
    assert [row[1] for row in call("sp_special_columns_100", "orders", "dbo")] == ["id"]
    assert call("sp_fkeys", "orders") == []


def test_types_are_ordered_and_filtered_by_code() -> None:
    rows = call("sp_datatype_info_100")
    codes = [(row[1], row[11] or 0, row[10], row[19]) for row in call("sp_datatype_info_100", 0, 3)]
    assert codes == sorted(codes)
    assert len(rows) == len(codes)
    assert [(row[0], row[2]) for row in call("sp_datatype_info_100", 12, 4)] == [("varchar", 8000)]
    assert [row[0] for row in call("sp_datatype_info_100", 93, 3)] == ["datetime2", "datetime", "smalldatetime"]
    assert [row[0] for row in call("sp_datatype_info", 11, 2)] == ["datetime2", "datetime", "smalldatetime"]


def test_databases_and_server_info_are_listed() -> None:
    assert [row[0] for row in call("sp_databases")] == ["demo", "master"]
    assert call("sp_server_info", 1) == [(1, "DBMS_NAME", "Microsoft SQL Server")]


def test_a_statement_and_its_parameters_are_described() -> None:
    first, second = call("sp_describe_first_result_set", "SELECT a, b")
    assert first[2:10] == ("a", True, 167, "varchar(10)", 10, 0, 0, "Latin1_General_100_CS_AS")
    assert first[20] is True  # case sensitive
    assert (second[2], second[27], second[36]) == ("b", True, 4)
    (parameter,) = call("sp_describe_undeclared_parameters", "SELECT @P1")
    assert parameter[:7] == (1, "@P1", 42, "datetime2(3)", 7, 23, 3)


def test_an_error_from_a_view_is_an_error_of_the_procedure() -> None:
    with pytest.raises(SqlError, match="Invalid object name"):
        call("sp_sproc_columns", "tidy")


@pytest.mark.parametrize(
    ("value", "pattern", "fits"),
    [
        ("orders", "ORD%", True),
        ("orders", "order_", True),
        ("orders", "order", False),
        ("a_b", r"a\_b", True),
        ("axb", r"a\_b", False),
        ("a%b", "a[%]b", True),
        ("b1", "[a-c]1", True),
        ("a.b", "a.b", True),
        ("axb", "a.b", False),
        ("anything", None, True),
    ],
)
def test_names_match_patterns_as_in_like(value: str, pattern: str | None, fits: bool) -> None:
    assert matches(value, pattern) is fits


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (CatalogColumn(1, 1, "c", "varchar", MAX, 0, 0), (12, 0, 0, None, 0)),
        (CatalogColumn(1, 1, "c", "nvarchar", 20, 0, 0), (-9, 10, 20, None, 20)),
        (CatalogColumn(1, 1, "c", "decimal", 9, 12, 3), (3, 12, 14, 3, None)),
        (CatalogColumn(1, 1, "c", "datetime2", 8, 27, 7), (93, 27, 16, 7, None)),
        (CatalogColumn(1, 1, "c", "time", 3, 8, 0), (-154, 8, 12, 0, None)),
        (CatalogColumn(1, 1, "c", "float", 8, 53, 0), (6, 53, 8, None, None)),
        (CatalogColumn(1, 1, "c", "ntext", 16, 0, 0), (-10, 1073741823, 2147483646, None, 2147483646)),
        (CatalogColumn(1, 1, "c", "rowversion", 8, 0, 0), (-2, 8, 8, None, 8)),
        (CatalogColumn(1, 1, "c", "geography", MAX, 0, 0), (-151, 0, 0, None, 0)),
        (CatalogColumn(1, 1, "c", "hierarchyid", 892, 0, 0), (-151, 892, 892, None, 892)),
        (CatalogColumn(1, 1, "c", "uniqueidentifier", 16, 0, 0), (-11, 36, 16, None, None)),
    ],
)
def test_a_column_has_its_odbc_size(column: CatalogColumn, expected: tuple[int | None, ...]) -> None:
    size = column_size(column)
    assert (size.odbc.data_type, size.precision, size.length, size.scale, size.octets) == expected


@pytest.mark.parametrize("name", ["tinyint", "real", "xml", "sql_variant", "image", "hierarchyid", "rowversion", "bit"])
def test_every_type_is_described(name: str) -> None:
    facts = type_facts(SqlType(name))
    assert facts.system_type_id
    assert facts.declaration in (name, "timestamp")
