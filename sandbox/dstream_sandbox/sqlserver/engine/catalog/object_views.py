"""sys.* views of a database's objects (Microsoft Learn, "Object catalog views (Transact-SQL)")."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dstream_sandbox.sqlserver.engine.catalog import rights, system_views
from dstream_sandbox.sqlserver.engine.catalog.model import Procedure, Table, View
from dstream_sandbox.sqlserver.engine.catalog.system_views import view
from dstream_sandbox.sqlserver.engine.catalog.type_ids import TYPE_IDS
from dstream_sandbox.sqlserver.engine.types import names

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession

Row = tuple[Any, ...]


def tables(session: SqlSession) -> Iterator[Table]:
    """Yield the stored tables that the session is allowed to see."""
    for table in session.home.tables.values():
        if rights.visible(session, table):
            yield table


def schema_id_of(session: SqlSession, schema: str) -> int:
    return session.home.schemas.get(schema, 1)


@view("sys.schemas", "name:n schema_id:i principal_id:i", catalog_only=True)
def schemas(session: SqlSession) -> Iterator[Row]:
    for name, schema_id in session.home.schemas.items():
        yield name, schema_id, 1


OBJECT_COLUMNS = (
    "name:n object_id:i principal_id:i schema_id:i parent_object_id:i type:c type_desc:n create_date:d "
    "modify_date:d is_ms_shipped:b "
    "is_published:b is_schema_published:b"
)


def _objects(session: SqlSession) -> Iterator[Row]:
    for table in tables(session):
        schema = schema_id_of(session, table.schema)
        yield (
            table.name,
            table.id,
            None,
            schema,
            0,
            "U ",
            "USER_TABLE",
            table.created,
            table.modified,
            int(table.system),
            0,
            0,
        )
        yield from _constraints(table, schema)
    modules: list[tuple[View | Procedure, str, str]] = [(v, "V ", "VIEW") for v in session.home.views.values()]
    modules += [(p, "P ", "SQL_STORED_PROCEDURE") for p in session.home.procedures.values()]
    for entry, kind, description in modules:
        if rights.visible(session, entry):
            yield (
                entry.name,
                entry.id,
                None,
                schema_id_of(session, entry.schema),
                0,
                kind,
                description,
                entry.created,
                entry.created,
                0,
                0,
                0,
            )


def _constraints(table: Table, schema: int) -> Iterator[Row]:
    made = table.created
    for index in table.indexes:
        if index.constraint:
            kind = ("PK", "PRIMARY_KEY_CONSTRAINT") if index.primary else ("UQ", "UNIQUE_CONSTRAINT")
            yield index.name, index.object_id, None, schema, table.id, *kind, made, made, 0, 0, 0
    for check in table.checks:
        yield check.name, check.object_id, None, schema, table.id, "C ", "CHECK_CONSTRAINT", made, made, 0, 0, 0
    for key in table.foreign_keys:
        yield key.name, key.object_id, None, schema, table.id, "F ", "FOREIGN_KEY_CONSTRAINT", made, made, 0, 0, 0
    for column in table.columns:
        if column.default is not None:
            yield (
                column.default[0],
                default_id(table, column.id),
                None,
                schema,
                table.id,
                "D ",
                "DEFAULT_CONSTRAINT",
                made,
                made,
                0,
                0,
                0,
            )


def default_id(table: Table, column_id: int) -> int:
    return -(table.id + column_id)


@view("sys.objects", OBJECT_COLUMNS, catalog_only=True)
def objects(session: SqlSession) -> Iterator[Row]:
    yield from _objects(session)


@view("sys.all_objects", OBJECT_COLUMNS, catalog_only=True)
def all_objects(session: SqlSession) -> Iterator[Row]:
    yield from _objects(session)
    for system in system_views.all_views():
        schema = 4 if system.name.startswith("sys.") else 3
        yield system.name.split(".")[1], system_views.object_id_of(system), None, schema, 0, "V ", "VIEW", 0, 0, 1, 0, 0


@view("sys.sysobjects", "name:n id:i xtype:c uid:s parent_obj:i crdate:d type:c", catalog_only=True)
def sysobjects(session: SqlSession) -> Iterator[Row]:
    for row in _objects(session):
        yield row[0], row[1], row[5], row[3], row[4], row[7], row[5]


@view(
    "sys.tables",
    OBJECT_COLUMNS + " lob_data_space_id:i max_column_id_used:i lock_on_bulk_load:b uses_ansi_nulls:b is_replicated:b "
    "is_merge_published:b "
    "is_tracked_by_cdc:b lock_escalation:t lock_escalation_desc:n is_filetable:b is_memory_optimized:b "
    "durability:t durability_desc:n "
    "temporal_type:t temporal_type_desc:n history_table_id:i is_external:b is_node:b is_edge:b",
    catalog_only=True,
)
def user_tables(session: SqlSession) -> Iterator[Row]:
    for table in tables(session):
        tracked = int(bool(session.home.capture.of_source(table.id)))
        yield (
            table.name, table.id, None, schema_id_of(session, table.schema), 0, "U ", "USER_TABLE", table.created,
            table.modified,
            int(table.system), 0, 0, 0, table.next_column_id - 1, 0, 1, 0, 0, tracked, 0, "TABLE", 0, 0, 0,
            "SCHEMA_AND_DATA", 0,
            "NON_TEMPORAL_TABLE", None, 0, 0, 0,
        )  # fmt: skip


@view("sys.views", OBJECT_COLUMNS + " is_replicated:b has_replication_filter:b with_check_option:b", catalog_only=True)
def views(session: SqlSession) -> Iterator[Row]:
    for entry in session.home.views.values():
        if rights.visible(session, entry):
            yield (
                entry.name, entry.id, None, schema_id_of(session, entry.schema), 0, "V ", "VIEW", entry.created,
                entry.created, 0, 0, 0, 0, 0, 0,
            )  # fmt: skip


@view("sys.procedures", OBJECT_COLUMNS + " is_auto_executed:b", catalog_only=True)
def procedures(session: SqlSession) -> Iterator[Row]:
    for entry in session.home.procedures.values():
        if rights.visible(session, entry):
            yield (
                entry.name, entry.id, None, schema_id_of(session, entry.schema), 0, "P ", "SQL_STORED_PROCEDURE",
                entry.created, entry.created,
                0, 0, 0, 0,
            )  # fmt: skip


@view(
    "sys.sql_modules",
    "object_id:i definition:x uses_ansi_nulls:b uses_quoted_identifier:b is_schema_bound:b",
    catalog_only=True,
)
def sql_modules(session: SqlSession) -> Iterator[Row]:
    entries: list[View | Procedure] = [*session.home.views.values(), *session.home.procedures.values()]
    for entry in entries:
        if rights.visible(session, entry):
            yield entry.id, entry.text, 1, 1, 0


_COLUMN = (
    "object_id:i name:n column_id:i system_type_id:t user_type_id:i max_length:s precision:t scale:t "
    "collation_name:n is_nullable:b "
    "is_ansi_padded:b is_rowguidcol:b is_identity:b is_computed:b is_filestream:b is_replicated:b "
    "is_non_sql_subscribed:b is_merge_published:b "
    "is_dts_replicated:b is_xml_document:b xml_collection_id:i default_object_id:i rule_object_id:i "
    "is_sparse:b is_column_set:b "
    "generated_always_type:t generated_always_type_desc:n encryption_type:i encryption_type_desc:n "
    "is_hidden:b is_masked:b"
)


def _columns(session: SqlSession) -> Iterator[Row]:
    for table in [*tables(session), *session.temp_tables.values()]:
        for column in table.columns:
            type_ = column.type
            system, user = system_views.catalog_type(type_)
            default = default_id(table, column.id) if column.default is not None else 0
            yield (
                table.id, column.name, column.id, system, user, system_views.max_length(type_),
                system_views.precision(type_),
                system_views.scale(type_), type_.collation if type_.name in names.CHARACTER else None,
                int(column.nullable), 1,
                int(column.row_guid), int(column.identity is not None), int(column.computed is not None), 0, 0, 0, 0,
                0, 0, 0, default, 0, 0, 0,
                0, "NOT_APPLICABLE", None, None, 0, int(bool(column.mask)),
            )  # fmt: skip


@view("sys.masked_columns", f"{_COLUMN} masking_function:x", catalog_only=True)
def masked_columns(session: SqlSession) -> Iterator[Row]:
    masks = {(t.id, c.id): c.mask for t in tables(session) for c in t.columns if c.mask}
    for row in _columns(session):
        if (row[0], row[2]) in masks:
            yield *row, masks[row[0], row[2]]


@view("sys.columns", _COLUMN, catalog_only=True)
def columns(session: SqlSession) -> Iterator[Row]:
    yield from _columns(session)


@view("sys.all_columns", _COLUMN, catalog_only=True)
def all_columns(session: SqlSession) -> Iterator[Row]:
    yield from _columns(session)
    for system in system_views.all_views():
        object_id = system_views.object_id_of(system)
        for position, (name, type_) in enumerate(system.columns, 1):
            system_id, user_id = system_views.catalog_type(type_)
            yield (
                object_id, name, position, system_id, user_id, system_views.max_length(type_),
                system_views.precision(type_),
                system_views.scale(type_), type_.collation, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                "NOT_APPLICABLE", None, None, 0, 0,
            )  # fmt: skip


@view(
    "sys.types",
    "name:n system_type_id:t user_type_id:i schema_id:i principal_id:i max_length:s precision:t scale:t "
    "collation_name:n is_nullable:b "
    "is_user_defined:b is_assembly_type:b default_object_id:i rule_object_id:i is_table_type:b",
    catalog_only=True,
)
def types(session: SqlSession) -> Iterator[Row]:
    from dstream_sandbox.sqlserver.engine.types.names import make_type

    for name, (system, user, length) in TYPE_IDS.items():
        type_ = make_type(name) if name not in ("decimal", "numeric") else make_type(name, ("38", "38"))
        collation = names.DEFAULT_COLLATION if type_.name in names.CHARACTER else None
        clr = int(name in names.CLR)
        yield (
            name, system, user, 4, None, length, system_views.precision(type_), system_views.scale(type_), collation,
            int(name != "timestamp"),
            0, clr, 0, 0, 0,
        )  # fmt: skip


@view("sys.systypes", "name:n xtype:t xusertype:s length:s xprec:t xscale:t type:t usertype:s", catalog_only=True)
def systypes(session: SqlSession) -> Iterator[Row]:
    for row in types(session):
        yield row[0], row[1], row[2], row[5], row[6], row[7], row[1], row[2]


@view(
    "sys.indexes",
    "object_id:i name:n index_id:i type:t type_desc:n is_unique:b data_space_id:i ignore_dup_key:b "
    "is_primary_key:b is_unique_constraint:b "
    "fill_factor:t is_padded:b is_disabled:b is_hypothetical:b allow_row_locks:b allow_page_locks:b "
    "has_filter:b filter_definition:x",
    catalog_only=True,
)
def indexes(session: SqlSession) -> Iterator[Row]:
    for table in tables(session):
        if not any(i.clustered for i in table.indexes):
            yield table.id, None, 0, 0, "HEAP", 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, None
        for index in sorted(table.indexes, key=lambda i: i.id):
            kind = (1, "CLUSTERED") if index.clustered else (2, "NONCLUSTERED")
            unique_constraint = int(index.constraint and not index.primary)
            yield (
                table.id, index.name, index.id, *kind, int(index.unique), 1, 0, int(index.primary),
                unique_constraint, 0, 0, 0, 0, 1, 1, 0, None,
            )  # fmt: skip


@view(
    "sys.index_columns",
    "object_id:i index_id:i index_column_id:i column_id:i key_ordinal:t partition_ordinal:t "
    "is_descending_key:b is_included_column:b",
    catalog_only=True,
)
def index_columns(session: SqlSession) -> Iterator[Row]:
    for table in tables(session):
        for index in table.indexes:
            for position, (column, descending) in enumerate(index.columns, 1):
                yield table.id, index.id, position, column, position, 0, int(descending), 0
            for position, column in enumerate(index.include, len(index.columns) + 1):
                yield table.id, index.id, position, column, 0, 0, 0, 1


@view(
    "sys.parameters",
    "object_id:i name:n parameter_id:i system_type_id:t user_type_id:i max_length:s precision:t scale:t "
    "is_output:b has_default_value:b",
    catalog_only=True,
)
def parameters(session: SqlSession) -> Iterator[Row]:
    from dstream_sandbox.sqlserver.engine.syntax.batch import parse_batch
    from dstream_sandbox.sqlserver.engine.syntax.statements import CreateProcedure

    for procedure in session.home.procedures.values():
        (definition,) = parse_batch(procedure.text)
        assert isinstance(definition, CreateProcedure)
        for position, parameter in enumerate(definition.parameters, 1):
            system, user = system_views.catalog_type(parameter.type)
            yield (
                procedure.id, parameter.name, position, system, user, system_views.max_length(parameter.type),
                system_views.precision(parameter.type), system_views.scale(parameter.type), int(parameter.output),
                int(parameter.default is not None),
            )  # fmt: skip


@view("sys.partitions", "partition_id:l object_id:i index_id:i partition_number:i hobt_id:l rows:l")
def partitions(session: SqlSession) -> Iterator[Row]:
    for table in tables(session):
        (rows,) = session.connection.execute(f"SELECT count(*) FROM {table.stored_name}").fetchone()
        for index_id in {i.id for i in table.indexes} | ({0} if not any(i.clustered for i in table.indexes) else set()):
            yield table.id * 1000 + index_id, table.id, index_id, 1, table.id * 1000 + index_id, rows


@view(
    "sys.database_principals",
    "name:n principal_id:i type:c type_desc:n default_schema_name:n create_date:d modify_date:d is_fixed_role:b",
    catalog_only=True,
)
def database_principals(session: SqlSession) -> Iterator[Row]:
    made = session.home.options.created
    yield "public", 0, "R ", "DATABASE_ROLE", None, made, made, 0
    yield "dbo", 1, "S ", "SQL_USER", "dbo", made, made, 0
    for principal in session.home.principals.values():
        kind = ("S ", "SQL_USER") if principal.kind == "user" else ("R ", "DATABASE_ROLE")
        fixed = int(principal.name in rights.FIXED_ROLES)
        yield principal.name, principal.id, *kind, "dbo" if principal.kind == "user" else None, made, made, fixed


@view("sys.database_role_members", "role_principal_id:i member_principal_id:i", catalog_only=True)
def database_role_members(session: SqlSession) -> Iterator[Row]:
    by_name = {p.name.lower(): p.id for p in session.home.principals.values()}
    for role in session.home.principals.values():
        for member in role.members:
            if member in by_name:
                yield role.id, by_name[member]


@view("sys.extended_properties", "class:t class_desc:n major_id:i minor_id:i name:n value:V", catalog_only=True)
def extended_properties(session: SqlSession) -> Iterator[Row]:
    return iter(())


@view("sys.triggers", "name:n object_id:i parent_id:i type:c is_disabled:b is_instead_of_trigger:b", catalog_only=True)
def triggers(session: SqlSession) -> Iterator[Row]:
    return iter(())


@view("sys.sequences", "name:n object_id:i schema_id:i start_value:V increment:V current_value:V", catalog_only=True)
def sequences(session: SqlSession) -> Iterator[Row]:
    return iter(())


@view("sys.synonyms", "name:n object_id:i schema_id:i base_object_name:n", catalog_only=True)
def synonyms(session: SqlSession) -> Iterator[Row]:
    return iter(())


@view(
    "sys.change_tracking_tables",
    "object_id:i is_track_columns_updated_on:b min_valid_version:l begin_version:l cleanup_version:l",
    catalog_only=True,
)
def change_tracking_tables(session: SqlSession) -> Iterator[Row]:
    return iter(())


@view("sys.change_tracking_databases", "database_id:i is_auto_cleanup_on:t retention_period:i", server_wide=True)
def change_tracking_databases(session: SqlSession) -> Iterator[Row]:
    return iter(())
