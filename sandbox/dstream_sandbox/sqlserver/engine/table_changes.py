"""ALTER TABLE. Stored columns are named by id, so adding, dropping and renaming never rebuild the table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.binder.casts import assign_sql, cast_sql
from dstream_sandbox.sqlserver.engine.binder.changes import ChangeBinder
from dstream_sandbox.sqlserver.engine.binder.expression import Ex
from dstream_sandbox.sqlserver.engine.catalog import rights
from dstream_sandbox.sqlserver.engine.catalog.model import Column, Table
from dstream_sandbox.sqlserver.engine.cdc.schema_changes import note_definition
from dstream_sandbox.sqlserver.engine.dropping import exclusive, settle
from dstream_sandbox.sqlserver.engine.errors import unsupported
from dstream_sandbox.sqlserver.engine.storage import table_files
from dstream_sandbox.sqlserver.engine.syntax import statements as st
from dstream_sandbox.sqlserver.engine.table_building import add_check, add_column, add_key, add_reference, now
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.session import Event, SqlError

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession


def alter_table(session: SqlSession, statement: st.AlterTable) -> Iterator[Event]:

    found = session.find(statement.name)
    shown = ".".join(statement.name)
    if not isinstance(found, Table):
        raise SqlError(
            4902, f'Cannot find the object "{shown}" because it does not exist or you do not have permissions.'
        )
    if found.storage == "temp":
        raise unsupported("ALTER TABLE of temporary tables")
    rights.require_ddl(session, "ALTER")
    exclusive(session, found)
    settle(session, found)
    changed = _copy(found, now())
    work = _Change(session, found, changed)
    match statement.action:
        case "add":
            work.add(statement.body)
        case "add_default":
            assert statement.column is not None
            work.add_default(statement.column)
        case "alter_column":
            assert statement.column is not None
            work.alter_column(statement.column)
        case "drop_column":
            work.drop_columns(statement.names)
        case "drop_constraint":
            work.drop_constraints(statement.names)
    work.store(_command_text(statement))
    yield from ()


def _command_text(statement: st.AlterTable) -> str:
    """Return the command for cdc.ddl_history, rebuilt from the syntax tree: the parser does not keep the text."""
    name = ".".join(statement.name)
    if statement.action == "alter_column" and statement.column is not None and statement.column.type is not None:
        return f"ALTER TABLE {name} ALTER COLUMN {statement.column.name} {names.declaration(statement.column.type)}"
    if statement.action == "drop_column":
        return f"ALTER TABLE {name} DROP COLUMN {', '.join(statement.names)}"
    added = ", ".join(f"{c.name} {names.declaration(c.type)}" for c in statement.body.columns if c.type is not None)
    return f"ALTER TABLE {name} ADD {added}"


def _copy(table: Table, modified: int) -> Table:
    return replace(
        table,
        columns=[replace(c) for c in table.columns],
        indexes=list(table.indexes),
        checks=list(table.checks),
        foreign_keys=list(table.foreign_keys),
        modified=modified,
        shape=table.shape + 1,
    )


class _Change:
    """An ALTER TABLE in progress: the new definition, and the SQLite statements that bring the rows to it."""

    def __init__(self, session: SqlSession, before: Table, after: Table) -> None:
        self.session, self.before, self.after = session, before, after
        self.statements: list[str] = []
        self.columns_changed = False
        self.type_changed: Column | None = None

    def add(self, body: st.TableBody) -> None:

        new_id = self.session.home.new_object_id
        for definition in body.columns:
            column = add_column(self.session, self.after, definition, new_id)
            self.columns_changed = True
            if column.computed is None:
                self._fill_new(column)
        keys = [k for d in body.columns for k in d.keys] + list(body.keys)
        for key in keys:
            index = add_key(self.after, key, new_id)
            self.statements.append(table_files.create_index(self.after, index))
        for check in [c for d in body.columns for c in d.checks] + list(body.checks):
            add_check(self.session, self.after, check, new_id)
            self._verify_check(check)
        for reference in [r for d in body.columns for r in d.references] + list(body.references):
            add_reference(self.session, self.after, reference, new_id)
            self._verify_reference()

    def _fill_new(self, column: Column) -> None:
        """Existing rows get the default if the column is NOT NULL, and always for identity; otherwise NULL."""
        table = self.after
        self.statements.append(f"ALTER TABLE t{table.id} ADD COLUMN {table_files.stored_column(column)}")
        if column.identity is not None:
            seed, step = column.identity
            self.statements.append(
                f"UPDATE t{table.id} SET c{column.id}={seed}+{step}*(SELECT count(*) FROM t{table.id} AS "
                f"b WHERE b.rid<t{table.id}.rid)"
            )
            return
        if column.nullable:
            return
        default = ChangeBinder(self.session, database=self.session.home.name)._default(table, column)
        if default == "NULL" and column.type.name != "rowversion" and self._has_rows():
            raise SqlError(
                4901,
                "ALTER TABLE only allows columns to be added that can contain nulls, or have a DEFAULT "
                "definition specified, or the column being "
                "added is an identity or timestamp column, or alternatively if none of the previous "
                "conditions are satisfied the table must be "
                f"empty to allow addition of this column. Column '{column.name}' cannot be added to "
                f"non-empty table '{table.name}' because it does "
                "not satisfy these conditions.",
            )
        value = "f1_rowversion(rid)" if column.type.name == "rowversion" else default
        if column.type.name == "rowversion":
            from dstream_sandbox.sqlserver.engine.binder.expression import f1

            value = f1("rowversion", lambda: lambda v: v.to_bytes(8, "big"), "rid")
        self.statements.append(f"UPDATE t{table.id} SET c{column.id}={value}")

    def _has_rows(self) -> bool:
        return self.session.connection.execute(f"SELECT 1 FROM main.t{self.before.id} LIMIT 1").fetchone() is not None

    def _verify_check(self, check: st.CheckDefinition) -> None:
        from dstream_sandbox.sqlserver.engine.binder.scope import BoundSource, Scope
        from dstream_sandbox.sqlserver.engine.syntax.batch import parse_expression

        binder = ChangeBinder(self.session, database=self.session.home.name)
        binder.scope = Scope([BoundSource(("t",), binder.table_columns(self.after, "t"))])
        condition = binder.predicate(parse_expression(check.expression))
        if any(c.id >= self.before.next_column_id for c in self.after.columns):
            return
        if self.session.run_sql(f"SELECT 1 FROM main.t{self.before.id} AS t WHERE NOT {condition} LIMIT 1").fetchone():
            name = self.after.checks[-1].name
            raise SqlError(
                547,
                f'The ALTER TABLE statement conflicted with the CHECK constraint "{name}". The conflict '
                f'occurred in database "{self.session.home.name}", table "{self.after.schema}.{self.after.name}".',
                state=0,
            )

    def _verify_reference(self) -> None:
        key = self.after.foreign_keys[-1]
        if any(c >= self.before.next_column_id for c in key.columns):
            return
        same = " AND ".join(f"p.c{r}=t.c{c}" for c, r in zip(key.columns, key.references, strict=True))
        given = " AND ".join(f"t.c{c} IS NOT NULL" for c in key.columns)
        parent_row = f"SELECT 1 FROM main.t{key.table_id} AS p WHERE {same}"
        sql = f"SELECT 1 FROM main.t{self.before.id} AS t WHERE {given} AND NOT EXISTS ({parent_row}) LIMIT 1"
        if self.session.run_sql(sql).fetchone():
            parent = self.session.home.tables[key.table_id]
            raise SqlError(
                547,
                f'The ALTER TABLE statement conflicted with the FOREIGN KEY constraint "{key.name}". The '
                f'conflict occurred in database "{self.session.home.name}", table "{parent.schema}.{parent.name}".',
                state=0,
            )

    def add_default(self, definition: st.ColumnDefinition) -> None:
        column = self._column(definition.name)
        if column.default is not None:
            raise SqlError(1781, "Column already has a DEFAULT bound to it.")
        assert definition.default is not None
        name = (
            definition.default[0]
            or f"DF__{self.after.name[:9]}__{column.name[:5]}__{self.session.home.new_object_id():08X}"
        )
        column.default = (name, definition.default[1])
        ChangeBinder(self.session, database=self.session.home.name)._default(self.after, column)

    def _column(self, name: str) -> Column:
        column = self.after.column(name)
        if column is None:
            raise SqlError(
                4924,
                f"ALTER TABLE ALTER COLUMN failed because column '{name}' does not exist in table '{self.after.name}'.",
            )
        return column

    def alter_column(self, definition: st.ColumnDefinition) -> None:
        """A new type converts every row as an assignment would; if one value does not fit, the whole change fails."""
        column = self._column(definition.name)
        assert definition.type is not None
        if column.computed is not None or column.type.name == "rowversion":
            raise SqlError(4928, f"Cannot alter column '{column.name}' because it is 'COMPUTED'.")
        if (
            any(column.id in (c for c, _ in i.columns) for i in self.after.indexes)
            and definition.type.name != column.type.name
        ):
            raise SqlError(5074, f"The object '{self.after.indexes[0].name}' is dependent on column '{column.name}'.")
        old = column.type
        where = f"table '{self.session.home.name}.{self.after.schema}.{self.after.name}', column '{column.name}'"
        ex = Ex(f"c{column.id}", old)
        sql = (
            assign_sql(ex, definition.type, where)
            if _same_family(old.name, definition.type.name)
            else cast_sql(ex, definition.type)
        )
        column.type = definition.type
        nullable = definition.nullable is not False
        if (
            column.nullable
            and not nullable
            and self.session.run_sql(
                f"SELECT 1 FROM main.t{self.before.id} WHERE c{column.id} IS NULL LIMIT 1"
            ).fetchone()
        ):
            raise SqlError(
                515,
                f"Cannot insert the value NULL into column '{column.name}', table "
                f"'{self.session.home.name}.{self.after.schema}.{self.after.name}'; column does not "
                "allow nulls. UPDATE fails.",
                state=2,
            )
        column.nullable = nullable and column.identity is None and not self._in_primary_key(column)
        if sql != ex.sql:
            self.statements.append(f"UPDATE t{self.before.id} SET c{column.id}={sql} WHERE c{column.id} IS NOT NULL")
        self.columns_changed = True
        if old != definition.type:
            self.type_changed = column

    def _in_primary_key(self, column: Column) -> bool:
        primary = self.after.primary_key
        return primary is not None and any(c == column.id for c, _ in primary.columns)

    def drop_columns(self, wanted: tuple[str, ...]) -> None:
        for name in wanted:
            column = self.after.column(name)
            if column is None:
                raise SqlError(
                    4924,
                    f"ALTER TABLE DROP COLUMN failed because column '{name}' does not exist in table "
                    f"'{self.after.name}'.",
                )
            users = [i.name for i in self.after.indexes if any(c == column.id for c, _ in i.columns)]
            users += [f.name for f in self.after.foreign_keys if column.id in f.columns]
            if column.default is not None:
                users.append(column.default[0])
            if users:
                raise SqlError(5074, f"The object '{users[0]}' is dependent on column '{name}'.")
            self.after.columns.remove(column)
            self.columns_changed = True
            if column.computed is None:
                self.statements.append(f"UPDATE t{self.before.id} SET c{column.id}=NULL")

    def drop_constraints(self, wanted: tuple[str, ...]) -> None:
        for name in wanted:
            lowered = name.lower()
            index = next((i for i in self.after.indexes if i.constraint and i.name.lower() == lowered), None)
            if index is not None:
                self.after.indexes.remove(index)
                self.statements.append(f"DROP INDEX i{self.before.id}_{index.id}")
                continue
            checks = [c for c in self.after.checks if c.name.lower() != lowered]
            keys = [f for f in self.after.foreign_keys if f.name.lower() != lowered]
            column = next(
                (c for c in self.after.columns if c.default is not None and c.default[0].lower() == lowered), None
            )
            if column is not None:
                column.default = None
            elif len(checks) == len(self.after.checks) and len(keys) == len(self.after.foreign_keys):
                raise SqlError(3728, f"'{name}' is not a constraint.")
            self.after.checks, self.after.foreign_keys = checks, keys

    def store(self, command: str) -> None:
        import sqlite3

        database = self.session.home
        with database.writing() as connection:
            box = self.session.engine.admin_box(database)
            for statement in self.statements:
                try:
                    connection.execute(statement)
                except sqlite3.IntegrityError:
                    name = self.after.indexes[-1].name
                    raise SqlError(
                        1505,
                        "The CREATE UNIQUE INDEX statement terminated because a duplicate key was found "
                        f"for the object name '{self.after.schema}.{self.after.name}' and the index name '{name}'.",
                    ) from None
                except sqlite3.Error as error:
                    raise (box.take() or unsupported(f"this statement: {error}")) from error
            database.store(connection, self.after)
            if self.columns_changed:
                note_definition(database, connection, self.before, self.after, self.type_changed, command)


def _same_family(old: str, new: str) -> bool:
    return (old in names.CHARACTER) == (new in names.CHARACTER) and (old in names.BINARY) == (new in names.BINARY)
