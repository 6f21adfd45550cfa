"""Results of sp_describe_first_result_set and sp_describe_undeclared_parameters, as listed on Microsoft Learn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dstream_sandbox.sqlserver.catalog.results import CatalogSession, arguments, result, text
from dstream_sandbox.sqlserver.catalog.type_facts import type_facts
from dstream_sandbox.sqlserver.session import Column, Event, Param
from dstream_sandbox.sqlserver.tds.collations import DEFAULT_COLLATION, collation
from dstream_sandbox.sqlserver.values import Row, SqlType

_INT, _SMALLINT, _TINYINT, _BIT = SqlType("int"), SqlType("smallint"), SqlType("tinyint"), SqlType("bit")
_SYSNAME, _NAME_256, _NAME_4000 = SqlType("nvarchar", 128), SqlType("nvarchar", 256), SqlType("nvarchar", 4000)

_RESULT_SET = tuple(
    Column(name, sql_type)
    for name, sql_type in (
        ("is_hidden", _BIT),
        ("column_ordinal", _INT),
        ("name", _SYSNAME),
        ("is_nullable", _BIT),
        ("system_type_id", _INT),
        ("system_type_name", _NAME_256),
        ("max_length", _SMALLINT),
        ("precision", _TINYINT),
        ("scale", _TINYINT),
        ("collation_name", _SYSNAME),
        ("user_type_id", _INT),
        ("user_type_database", _SYSNAME),
        ("user_type_schema", _SYSNAME),
        ("user_type_name", _SYSNAME),
        ("assembly_qualified_type_name", _NAME_4000),
        ("xml_collection_id", _INT),
        ("xml_collection_database", _SYSNAME),
        ("xml_collection_schema", _SYSNAME),
        ("xml_collection_name", _SYSNAME),
        ("is_xml_document", _BIT),
        ("is_case_sensitive", _BIT),
        ("is_fixed_length_clr_type", _BIT),
        ("source_server", _SYSNAME),
        ("source_database", _SYSNAME),
        ("source_schema", _SYSNAME),
        ("source_table", _SYSNAME),
        ("source_column", _SYSNAME),
        ("is_identity_column", _BIT),
        ("is_part_of_unique_key", _BIT),
        ("is_updateable", _BIT),
        ("is_computed_column", _BIT),
        ("is_sparse_column_set", _BIT),
        ("ordinal_in_order_by_list", _SMALLINT),
        ("order_by_list_length", _SMALLINT),
        ("order_by_is_descending", _SMALLINT),
        ("tds_type_id", _INT),
        ("tds_length", _INT),
        ("tds_collation_id", _INT),
        ("tds_collation_sort_id", _TINYINT),
    )
)
_PARAMETERS = tuple(
    Column(name, sql_type)
    for name, sql_type in (
        ("parameter_ordinal", _INT),
        ("name", _SYSNAME),
        ("suggested_system_type_id", _INT),
        ("suggested_system_type_name", _NAME_256),
        ("suggested_max_length", _SMALLINT),
        ("suggested_precision", _TINYINT),
        ("suggested_scale", _TINYINT),
        ("suggested_user_type_id", _INT),
        ("suggested_user_type_database", _SYSNAME),
        ("suggested_user_type_schema", _SYSNAME),
        ("suggested_user_type_name", _SYSNAME),
        ("suggested_assembly_qualified_type_name", _NAME_4000),
        ("suggested_xml_collection_id", _INT),
        ("suggested_xml_collection_database", _SYSNAME),
        ("suggested_xml_collection_schema", _SYSNAME),
        ("suggested_xml_collection_name", _SYSNAME),
        ("suggested_is_xml_document", _BIT),
        ("suggested_is_case_sensitive", _BIT),
        ("suggested_is_fixed_length_clr_type", _BIT),
        ("suggested_is_input", _BIT),
        ("suggested_is_output", _BIT),
        ("formal_parameter_name", _SYSNAME),
        ("suggested_tds_type_id", _INT),
        ("suggested_tds_length", _INT),
    )
)


def sp_describe_first_result_set(session: CatalogSession, params: Sequence[Param]) -> Iterator[Event]:
    """Return one row per column; no rows if the statement has no result set."""
    described = session.describe(*_statement(params, ("@tsql", "@params", "@browse_information_mode")))
    yield from result(_RESULT_SET, [_result_row(ordinal, column) for ordinal, column in enumerate(described, 1)])


def sp_describe_undeclared_parameters(session: CatalogSession, params: Sequence[Param]) -> Iterator[Event]:
    """Return one row per parameter."""
    described = session.describe_parameters(*_statement(params, ("@tsql", "@params")))
    rows = [_parameter_row(ordinal, name, sql_type) for ordinal, (name, sql_type) in enumerate(described, 1)]
    yield from result(_PARAMETERS, rows)


def _statement(params: Sequence[Param], declared: Sequence[str]) -> tuple[str, str]:
    values = arguments(params, declared)
    return text(values, "@tsql") or "", text(values, "@params") or ""


def _result_row(ordinal: int, column: Column) -> Row:
    facts = type_facts(column.type)
    name = column.type.collation or DEFAULT_COLLATION if facts.is_character else None
    coll = collation(name) if name else None
    return (
        False, ordinal, column.name or None, column.nullable, facts.system_type_id, facts.declaration, facts.max_length,
        facts.precision, facts.scale, name, None, None, None, None, None, None, None, None, None, False,
        coll.is_case_sensitive if coll else False, False, None, None, None, None, None, column.identity, None,
        not (column.identity or column.computed), column.computed, False, None, None, None, facts.tds_type,
        facts.tds_length, int.from_bytes(coll.wire[:4], "little", signed=True) if coll else None,
        coll.sort_id if coll else None,
    )  # fmt: skip


def _parameter_row(ordinal: int, name: str, sql_type: SqlType) -> Row:
    facts = type_facts(sql_type)
    return (
        ordinal, name, facts.system_type_id, facts.declaration, facts.max_length, facts.precision, facts.scale, None,
        None, None, None, None, None, None, None, None, False, False, False, True, False, None, facts.tds_type,
        facts.tds_length,
    )  # fmt: skip
