from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from dstream_mssql_cdc.catalog.tables import (
    Catalog,
    catalog_of,
    check_choices,
    check_readable,
    choose_columns,
    closest,
    is_selected,
    named_and_excluded,
    parse_table_name,
    select,
    unused_exclusions,
    watermark,
)
from dstream_mssql_cdc.config import ColumnChoice

from dstream.sdk.errors import AuthError, ConfigError

CREATED = datetime(2024, 1, 1, 10, 0, 0, 120000)


def catalog(
    captured: Sequence[Sequence[Any]] = (),
    more: Sequence[dict[str, Any]] = (),
    masked: Collection[tuple[int, str]] = (),
    ddl: Sequence[tuple[int, str]] = (),
) -> Catalog:
    tables = [
        ("dbo", "Orders", 5, "dbo_Orders", 50, b"\x01" * 10, CREATED, 1, CREATED),
        ("sales", "Lines", 6, "custom", 60, b"\x01" * 10, CREATED, 0, CREATED),
        ("sales", "Order.Notes", 7, "notes", 70, None, CREATED, 1, CREATED),
    ]
    columns = [
        (50, "Id", "int", 1, False),
        (50, "Total", "decimal", 2, False),
        (50, "Twice", "decimal", 3, True),
        (50, "Version", "timestamp", 4, False),
        (50, "Phone", "PhoneNumber", 5, False),
        (50, "Place", "geography", 6, False),
    ]
    details = [
        detail(50, "__$start_lsn", "binary", 10),
        detail(50, "Id", "int", 4),
        detail(50, "Total", "decimal", 9, scale=2),
        detail(50, "Twice", "decimal", 9, scale=2),
        detail(50, "Version", "binary", 8),
        detail(50, "Phone", "nvarchar", 40, user_type_id=257, type_name="PhoneNumber"),
        detail(50, "Place", None, -1, user_type_id=130, type_name="geography"),
        *more,
    ]
    return catalog_of(tables, [*columns, *captured], details, [(50, "Id")], masked, ddl)


def detail(object_id: int, name: str, base_type: str | None, length: int, **more: Any) -> dict[str, Any]:
    """A row of sys.columns, as it is before SQL Server 2016."""
    row = {
        "object_id": object_id,
        "name": name,
        "base_type": base_type,
        "max_length": length,
        "precision": 0,
        "scale": 0,
    }
    return {**row, "user_type_id": 56, "type_name": base_type, **more}


def test_columns_have_base_types_and_computed_columns_are_omitted() -> None:
    orders = catalog().tables[0]
    assert [(column.name, column.type, column.ordinal) for column in orders.instances[0].columns] == [
        ("Id", "int", 1),
        ("Total", "decimal", 2),
        ("Version", "timestamp", 4),
        ("Phone", "nvarchar", 5),
        ("Place", "geography", 6),
    ]
    assert orders.instances[0].key == ("Id",)
    assert orders.instances[0].mark.create_date == "2024-01-01T10:00:00.120"


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["Orders"], ["dbo.Orders"]),
        (["DBO.orders"], ["dbo.Orders"]),
        (["sales.*"], ["sales.Lines", "sales.Order.Notes"]),
        (["sales.[Order.Notes]", "sales.*"], ["sales.Order.Notes", "sales.Lines"]),
        (["[sales].[Lines]"], ["sales.Lines"]),
        (["*.*"], ["dbo.Orders", "sales.Lines", "sales.Order.Notes"]),
    ],
)
def test_tables_are_found_by_name_and_schema(patterns: list[str], names: list[str]) -> None:
    tables, missing = select(catalog(), patterns)
    assert [table.name for table in tables] == names
    assert not missing


@pytest.mark.parametrize(
    ("patterns", "excluded", "names"),
    [
        (["*.*"], ["sales.*"], ["dbo.Orders"]),
        (["*.*", "orders"], ["SALES.lines"], ["dbo.Orders", "sales.Order.Notes"]),
        (["sales.*"], ["orders", "sales.[Order.Notes]"], ["sales.Lines"]),
    ],
)
def test_excluded_tables_are_not_selected(patterns: list[str], excluded: list[str], names: list[str]) -> None:
    tables, missing = select(catalog(), patterns, excluded)
    assert ([table.name for table in tables], missing) == (names, {})
    everything = [table.name for table in catalog().tables]
    assert [name for name in everything if is_selected(name, patterns, excluded)] == names
    assert not list(named_and_excluded(patterns, excluded))


def test_a_table_cannot_be_named_and_excluded() -> None:
    (error,) = named_and_excluded(["*.*", "dbo.Orders"], ["DBO.*"])
    assert (error.code, error.config_path) == ("mssql.table_excluded", "tables[1]")


def test_an_exclusion_without_a_captured_table_is_reported() -> None:
    assert [str(name) for name in unused_exclusions(catalog(), ["dbo.Order", "sales.*", "hr.*"])] == [
        "dbo.Order",
        "hr.*",
    ]


def test_an_unknown_table_is_reported_with_the_closest_name() -> None:
    _, missing = select(catalog(), ["dbo.Orders", "dbo.Order", "hr.*"])
    assert {at: str(name) for at, name in missing.items()} == {1: "dbo.Order", 2: "hr.*"}
    assert closest(catalog(), missing[1]) == "dbo.Orders"


@pytest.mark.parametrize("text", ["a.b.c", "", "a.", "[a", "a]b", "*.a"])
def test_an_invalid_table_name_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_table_name(text, "tables[0]")


def test_instances_without_read_permission_are_listed() -> None:
    assert catalog().unreadable == {"custom"}


def test_columns_are_chosen_by_name() -> None:
    orders = catalog().tables[0]
    for choice in (ColumnChoice(include=["Total", "Id"]), ColumnChoice(exclude=["Version", "Phone", "Place"])):
        chosen = choose_columns(orders, orders.instances[0], {"orders": choice})
        assert [column.name for column in chosen] == ["Id", "Total"]


def test_a_column_that_was_added_after_the_newest_instance_is_uncaptured() -> None:
    """Columns that were left out of the instance on purpose, and computed ones, are not."""
    source = [detail(5, name, "int", 4) for name in ("Id", "Left out", "Added [1]", "More")]
    source.append(detail(5, "Sum", "int", 4, is_computed=True))
    ddl = [
        (50, "alter table Orders add [Added [1]]] int, Sum AS Id + 1, Id2 int"),
        (50, "ALTER TABLE Orders ALTER COLUMN [Left out] bigint"),
        (60, "ALTER TABLE sales.Lines ADD [Left out] int"),
        (50, "ALTER TABLE dbo.Orders ADD More int"),
    ]
    orders, lines, _ = catalog(more=source, ddl=ddl).tables
    assert orders.uncaptured == ("Added [1]", "More")
    assert lines.uncaptured == ()


def test_a_column_can_be_chosen_that_only_one_of_two_instances_has() -> None:
    orders = catalog().tables[0]
    newer = orders.instances[0]
    older = replace(newer, columns=newer.columns[:2])
    both = replace(orders, instances=(older, newer))
    choices = {"dbo.Orders": ColumnChoice(include=["Id", "Phone"], redact=["Place"])}
    check_choices([both], choices)
    chosen = {instance: choose_columns(both, instance, choices) for instance in both.instances}
    assert [column.name for column in chosen[older]] == ["Id"]
    assert [column.name for column in chosen[newer]] == ["Id", "Phone"]
    with pytest.raises(ConfigError):
        check_choices([replace(orders, instances=(older,))], choices)


def test_values_are_hidden_by_column() -> None:
    orders = catalog().tables[0]
    choice = ColumnChoice(include=["Id", "Total", "Phone"], hash=["Total", "Phone"], redact=["Phone"])
    chosen = choose_columns(orders, orders.instances[0], {"dbo.Orders": choice})
    assert {column.name: column.hiding for column in chosen} == {"Id": None, "Total": "hash", "Phone": "redact"}


@pytest.mark.parametrize(
    ("name", "choice", "code"),
    [
        ("dbo.Orders", ColumnChoice(exclude=["Totl"]), "mssql.unknown_column"),
        ("dbo.Orders", ColumnChoice(include=["Total"]), "mssql.key_excluded"),
        ("dbo.Orders", ColumnChoice(redact=["Id"]), "mssql.key_redacted"),
        ("dbo.Orders", ColumnChoice(hash=["Totl"]), "mssql.unknown_column"),
        ("dbo.Other", ColumnChoice(), "mssql.columns"),
    ],
)
def test_an_invalid_column_choice_is_refused(name: str, choice: ColumnChoice, code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_choices(catalog().tables[:1], {name: choice})
    assert caught.value.code == code
    assert name in caught.value.config_path


def test_a_creation_date_is_the_same_with_drivers_that_return_thirds_of_milliseconds() -> None:
    dates = [datetime(2024, 1, 1, 10, 0, 0, fraction) for fraction in (997_000, 996_666)]
    assert {watermark(("dbo_T", 1, 2, None, date)).create_date for date in dates} == {"2024-01-01T10:00:00.997"}


def test_a_new_built_in_type_is_not_taken_for_the_type_that_stores_it() -> None:
    found = catalog(
        [(50, "Embedding", "vector", 7, False)],
        [detail(50, "Embedding", "varbinary", 20, user_type_id=255, type_name="vector")],
    )
    assert found.tables[0].instances[0].columns[-1].type == "vector"


@pytest.mark.parametrize("object_id", [50, 5], ids=["change table", "source table"])
def test_an_encrypted_column_is_refused_unless_it_is_excluded(object_id: int) -> None:
    encrypted = [detail(50, "Card", "varbinary", 20), detail(5, "Card", "varbinary", 20)]
    encrypted += [detail(object_id, "Card", "varbinary", 20, encryption_type=1)]
    orders = catalog([(50, "Card", "varbinary", 7, False)], encrypted).tables[0]
    with pytest.raises(ConfigError, match=r"dbo\.Orders\.Card is encrypted") as caught:
        check_readable("dbo.Orders", orders.instances[0].columns, "ada")
    assert 'exclude = ["Card"]' in caught.value.hint
    for choice in (ColumnChoice(exclude=["Card"]), ColumnChoice(redact=["Card"])):
        check_readable("dbo.Orders", choose_columns(orders, orders.instances[0], {"Orders": choice}), "ada")


def test_a_masked_column_is_refused_with_the_grant() -> None:
    orders = catalog(masked={(50, "Total")}).tables[0]
    with pytest.raises(AuthError, match=r"dbo\.Orders\.Total has a data mask") as caught:
        check_readable("dbo.Orders", orders.instances[0].columns, "ada")
    assert "GRANT UNMASK ON SCHEMA::cdc TO [ada];" in caught.value.hint
    assert 'exclude = ["Total"]' in caught.value.hint
