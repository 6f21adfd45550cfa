"""Compiles INSERT, UPDATE, DELETE and MERGE to change plans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dstream_sandbox.sqlserver.engine.binder.casts import assign_sql, cast_sql
from dstream_sandbox.sqlserver.engine.binder.change_plans import (
    DELETED,
    INSERTED,
    UPDATED,
    ChangePlan,
    ConditionCheck,
    OutputPlan,
)
from dstream_sandbox.sqlserver.engine.binder.environment import Environment, SystemView
from dstream_sandbox.sqlserver.engine.binder.expression import Ex, f1
from dstream_sandbox.sqlserver.engine.binder.queries import BoundQuery, QueryBinder
from dstream_sandbox.sqlserver.engine.binder.scope import BoundSource, Scope
from dstream_sandbox.sqlserver.engine.catalog.model import Column, ForeignKey, Table, View
from dstream_sandbox.sqlserver.engine.errors import invalid_column, invalid_object, unsupported
from dstream_sandbox.sqlserver.engine.storage.table_files import Overlay
from dstream_sandbox.sqlserver.engine.syntax import nodes
from dstream_sandbox.sqlserver.engine.syntax.batch import parse_expression
from dstream_sandbox.sqlserver.engine.syntax.statements import Assignment, Delete, Insert, Merge, Output, Update
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.session import SqlError

_EXCLUSIVE = frozenset({"TABLOCK", "TABLOCKX"})


class ChangeBinder(QueryBinder):
    """Compiles statements that change rows of one table."""

    def __init__(self, environment: Environment, *, database: str, identity_insert: int | None = None) -> None:
        super().__init__(environment)
        self.database = database
        self.identity_insert = identity_insert
        """Id of the table for which IDENTITY_INSERT is on."""

    # INSERT

    def insert(self, statement: Insert, query: BoundQuery | None = None) -> ChangePlan:
        """Compile an INSERT. `query` replaces the statement's own rows: the result of EXEC or of an OUTPUT clause."""
        table = self.target(statement.target, "INSERT")
        columns = self._target_columns(table, statement.columns)
        single = False
        count: int | None = None
        if query is None and (statement.rows or statement.default_values):
            rows = statement.rows or ((),)
            if statement.default_values:
                columns = []
            for row in rows:
                self._check_width(len(columns), len(row))
            single = len(rows) == 1
            count = len(rows)
            fills = self._value_fills(table, columns, rows, single=single)
        else:
            bound = query
            if bound is None:
                assert statement.query is not None
                bound = self.bind_query(statement.query)
            self._check_width(len(columns), len(bound.columns))
            fills = [self._query_fill(table, columns, bound, self.top_limit(statement.top))]
        plan = self._completed("INSERT", table, fills, {c.id for c in columns}, statement.output)
        identity = table.identity_column
        explicit = identity.id if identity is not None and identity in columns else None
        exclusive = bool(statement.hints & _EXCLUSIVE)
        return replace(plan, single_row=single, row_count=count, explicit_identity=explicit, exclusive=exclusive)

    def _check_width(self, columns: int, values: int) -> None:
        if values > columns:
            raise SqlError(
                110 if columns else 8101,
                "There are fewer columns in the INSERT statement than values specified in the VALUES clause. "
                "The number of values in the VALUES clause must match the number of columns specified in "
                "the INSERT statement.",
                severity=15,
            )
        if values < columns:
            raise SqlError(
                109,
                "There are more columns in the INSERT statement than values specified in the VALUES clause. "
                "The number of values in the VALUES clause must match the number of columns specified in "
                "the INSERT statement.",
                severity=15,
            )

    def target(self, name: tuple[str, ...], permission: str) -> Table:
        found = self.environment.find(name)
        if found is None:
            raise invalid_object(".".join(name))
        if isinstance(found, View):
            raise unsupported("changing rows through a view")
        if isinstance(found, SystemView) or found.system:
            raise SqlError(259, "Ad hoc updates to system catalogs are not allowed.")
        self.environment.require(permission, found)
        self.gathered.tables.add(found.id)
        return found

    def _target_columns(self, table: Table, wanted: tuple[str, ...] | None) -> list[Column]:
        if wanted is None:
            skipped_identity = table.identity_column if self.identity_insert != table.id else None
            if self.identity_insert == table.id:
                raise SqlError(
                    8101,
                    f"An explicit value for the identity column in table '{table.schema}.{table.name}' "
                    "can only be specified when a column "
                    "list is used and IDENTITY_INSERT is ON.",
                )
            return [
                c
                for c in table.columns
                if c is not skipped_identity and c.computed is None and c.type.name != "rowversion"
            ]
        columns: list[Column] = []
        for name in wanted:
            column = table.column(name)
            if column is None:
                raise invalid_column(name)
            if column in columns:
                raise SqlError(
                    264,
                    f"The column name '{name}' is specified more than once in the SET clause or column "
                    "list of an INSERT.",
                )
            self._check_insertable(table, column)
            columns.append(column)
        identity = table.identity_column
        if identity is not None and self.identity_insert == table.id and identity not in columns:
            raise SqlError(
                545,
                f"Explicit value must be specified for identity column in table '{table.name}' either "
                "when IDENTITY_INSERT is set to ON "
                "or when a replication user is inserting into a NOT FOR REPLICATION identity column.",
            )
        return columns

    def _check_insertable(self, table: Table, column: Column) -> None:
        if column.computed is not None:
            raise SqlError(
                271,
                f'The column "{column.name}" cannot be modified because it is either a computed column or '
                "is the result of a UNION operator.",
            )
        if column.type.name == "rowversion":
            raise SqlError(
                273,
                "Cannot insert an explicit value into a timestamp column. Use INSERT with a column list "
                "to exclude the timestamp column, or insert a DEFAULT into the timestamp column.",
            )
        if column.identity is not None and self.identity_insert != table.id:
            raise SqlError(
                544,
                f"Cannot insert explicit value for identity column in table '{table.name}' when "
                "IDENTITY_INSERT is set to OFF.",
            )

    def _value_fills(
        self, table: Table, columns: list[Column], rows: Sequence[Sequence[nodes.Node]], *, single: bool
    ) -> list[str]:
        stored = table.stored_columns
        position = {c.id: i for i, c in enumerate(columns)}
        defaults = {c.id: self._default(table, c) for c in stored if c.id not in position}
        lines: list[str] = []
        for row in rows:
            cells: list[str] = []
            for column in stored:
                if column.id not in position:
                    cells.append(defaults[column.id])
                    continue
                cells.append(self._assigned(table, column, row[position[column.id]]))
            lines.append(f"({','.join((':base' if single else 'NULL', str(INSERTED), ':cmd', *cells))})")
        names_ = ",".join(f"n{c.id}" for c in stored)
        log = Overlay(table).log
        # For SQLite, only the statement's length limits the number of terms in a VALUES list.
        return [f"INSERT INTO {log}(n,op,cmd,{names_}) VALUES {','.join(lines)}"]

    def _assigned(self, table: Table, column: Column, node: nodes.Node) -> str:
        if isinstance(node, nodes.Default):
            return self._default(table, column)
        return self._assign(table, column, self.value(node))

    def _assign(self, table: Table, column: Column, ex: Ex) -> str:
        ex = self.infer(ex, column.type)
        where = f"table '{self.database}.{table.schema}.{table.name}', column '{column.name}'"
        return assign_sql(ex, column.type, where)

    def _default(self, table: Table, column: Column) -> str:
        if column.identity is not None or column.type.name == "rowversion" or column.default is None:
            return "NULL"
        kept, self.scope = self.scope, Scope()
        try:
            return self._assign(table, column, self.value(parse_expression(column.default[1])))
        finally:
            self.scope = kept

    def _query_fill(self, table: Table, columns: list[Column], bound: BoundQuery, limit: str) -> str:
        stored = table.stored_columns
        position = {c.id: i for i, c in enumerate(columns)}
        cells: list[str] = []
        for column in stored:
            if column.id in position:
                i = position[column.id]
                cells.append(self._assign(table, column, replace(bound.columns[i], sql=f"k{i}")))
            else:
                cells.append(self._default(table, column))
        names_ = ",".join(f"n{c.id}" for c in stored)
        return (
            f"INSERT INTO {Overlay(table).log}(op,cmd,{names_}) "
            f"SELECT {','.join((str(INSERTED), ':cmd', *cells))} FROM ({bound.sql}){limit}"
        )

    # UPDATE and DELETE

    def update(self, statement: Update) -> ChangePlan:
        table, source_sql, alias = self._change_source(statement, "UPDATE")
        where = f" AND {self.predicate(statement.where)}" if statement.where is not None else ""
        assigned, variables = self._new_values(table, statement.assignments)
        fill = self._row_fill(
            table,
            UPDATED,
            alias,
            source_sql,
            where,
            assigned,
            self.top_limit(statement.top),
            statement.source is not None,
        )
        plan = self._completed("UPDATE", table, [fill], set(assigned), statement.output)
        return replace(plan, variables=tuple(variables), exclusive=bool(statement.hints & _EXCLUSIVE))

    def delete(self, statement: Delete) -> ChangePlan:
        table, source_sql, alias = self._change_source(statement, "DELETE")
        where = f" AND {self.predicate(statement.where)}" if statement.where is not None else ""
        fill = self._row_fill(
            table, DELETED, alias, source_sql, where, {}, self.top_limit(statement.top), statement.source is not None
        )
        plan = self._completed("DELETE", table, [fill], set(), statement.output)
        return replace(plan, exclusive=bool(statement.hints & _EXCLUSIVE))

    def _change_source(self, statement: Update | Delete, permission: str) -> tuple[Table, str, str]:
        """Return the target table, the FROM clause's SQL, and the target's SQLite alias in it."""
        if statement.ctes is not None:
            return self._with_ctes(statement, permission)
        return self._change_source_inner(statement, permission)

    def _with_ctes(self, statement: Update | Delete, permission: str) -> tuple[Table, str, str]:
        assert statement.ctes is not None
        frame: dict[str, BoundSource] = {}
        self.ctes.append(frame)
        parts = [self._cte_sql(cte, frame, 100) for cte in statement.ctes.ctes]
        if len(statement.target) == 1 and statement.target[0].lower() in frame:
            raise unsupported("changing rows through a common table expression")
        table, source_sql, alias = self._change_source_inner(statement, permission)
        return table, f"\0WITH RECURSIVE {', '.join(parts)}\0{source_sql}", alias

    def _change_source_inner(self, statement: Update | Delete, permission: str) -> tuple[Table, str, str]:
        if statement.source is None:
            table = self.target(statement.target, permission)
            return table, self.table(table, None), self.scope.sources[-1].alias
        found = _source_named(statement.source, statement.target)
        if found is None:
            table = self.target(statement.target, permission)
            sql = self.source(statement.source)
            return table, f"{sql} CROSS JOIN {self.table(table, None)}", self.scope.sources[-1].alias
        table = self.target(found.name, permission)
        sql = self.source(statement.source)
        shown = (found.alias or found.name[-1]).lower()
        bound = next(s for s in self.scope.sources if s.qualifiers[-1] == shown)
        return table, sql, bound.alias

    def _new_values(
        self, table: Table, assignments: Sequence[Assignment]
    ) -> tuple[dict[int, str], list[tuple[str, str]]]:
        values: dict[int, str] = {}
        variables: list[tuple[str, str]] = []
        for assignment in assignments:
            if not assignment.column:
                raise unsupported("UPDATE ... SET @variable = expression")
            column = table.column(assignment.column)
            if column is None:
                raise invalid_column(assignment.column)
            self._check_updatable(column)
            if column.id in values:
                raise SqlError(
                    264,
                    f"The column name '{column.name}' is specified more than once in the SET clause or "
                    "column list of an INSERT.",
                )
            node = assignment.value
            if assignment.operator != "=":
                node = nodes.Binary(assignment.operator[:-1], nodes.Name((assignment.column,)), node)
            values[column.id] = self._assigned(table, column, node)
            if assignment.variable is not None:
                variables.append((assignment.variable, f"n{column.id}"))
        return values, variables

    def _check_updatable(self, column: Column) -> None:
        if column.identity is not None:
            raise SqlError(8102, f"Cannot update identity column '{column.name}'.")
        if column.computed is not None:
            raise SqlError(
                271,
                f'The column "{column.name}" cannot be modified because it is either a computed column or '
                "is the result of a UNION operator.",
            )
        if column.type.name == "rowversion":
            raise SqlError(272, "Cannot update a timestamp column.")

    def _row_fill(
        self,
        table: Table,
        kind: int,
        alias: str,
        source: str,
        where: str,
        assigned: dict[int, str],
        limit: str,
        joined: bool,
    ) -> str:
        """Return SQL that logs the before-images of the rows found, with after-images unless they are deleted."""
        prefix = ""
        if source.startswith("\0"):
            prefix, source = source[1:].split("\0", 1)
            prefix += " "
        stored = table.stored_columns
        names_ = [f"o{c.id}" for c in stored]
        cells = [f"{alias}.c{c.id}" for c in stored]
        if kind != DELETED:
            names_ += [f"n{c.id}" for c in stored]
            cells += [assigned.get(c.id, f"{alias}.c{c.id}") for c in stored]
        group = f" GROUP BY {alias}.rid" if joined else ""
        return (
            f"INSERT INTO {Overlay(table).log}(op,cmd,rid,{','.join(names_)}) {prefix}"
            f"SELECT {kind},:cmd,{alias}.rid,{','.join(cells)} FROM {source} WHERE {alias}.rid IS NOT "
            f"NULL{where}{group}{limit}"
        )

    # MERGE

    def merge(self, statement: Merge) -> ChangePlan:
        table = self.target(statement.target, "INSERT")
        for permission in ("UPDATE", "DELETE"):
            self.environment.require(permission, table)
        fills: list[str] = []
        assigned: set[int] = set()
        earlier: dict[str, list[str]] = {"matched": [], "target": [], "source": []}
        for clause in statement.clauses:
            self.scope = Scope()
            self._aliases = 0
            fill, condition = self._merge_fill(statement, table, clause, earlier[clause.matched], assigned)
            fills.append(fill)
            earlier[clause.matched].append(condition)
        self.scope = Scope()
        plan = self._completed("MERGE", table, fills, assigned, statement.output)
        return replace(plan, may_repeat_rows=True)

    def _merge_fill(
        self, statement: Merge, table: Table, clause: object, earlier: list[str], assigned: set[int]
    ) -> tuple[str, str]:
        from dstream_sandbox.sqlserver.engine.syntax.statements import MergeClause

        assert isinstance(clause, MergeClause)
        shown = statement.alias or statement.target[-1]
        target = self.table(table, shown)
        alias = self.scope.sources[-1].alias
        source = self.source(statement.source)
        on = self.predicate(statement.on)
        condition = self.predicate(clause.condition) if clause.condition is not None else "1"
        guard = f" AND ({condition}) IS TRUE" + "".join(f" AND ({c}) IS NOT TRUE" for c in earlier)
        stored = table.stored_columns
        log = Overlay(table).log
        if clause.matched == "target":
            columns = self._target_columns(table, clause.columns)
            self._check_width(len(columns), len(clause.values))
            values = {c.id: self._assigned(table, c, v) for c, v in zip(columns, clause.values, strict=True)}
            cells = [values.get(c.id) or self._default(table, c) for c in stored]
            names_ = ",".join(f"n{c.id}" for c in stored)
            where = f"WHERE NOT EXISTS (SELECT 1 FROM {target} WHERE {on}){guard}"
            assigned.update(c.id for c in stored)
            return (
                f"INSERT INTO {log}(op,cmd,{names_}) SELECT {INSERTED},:cmd,{','.join(cells)} FROM {source} {where}",
                condition,
            )
        found = f"{target} JOIN {source} ON {on}" if clause.matched == "matched" else target
        where = guard if clause.matched == "matched" else f" AND NOT EXISTS (SELECT 1 FROM {source} WHERE {on}){guard}"
        if clause.action == "delete":
            return self._row_fill(table, DELETED, alias, found, where, {}, "", False), condition
        values, _ = self._new_values(table, clause.assignments)
        assigned.update(values)
        return self._row_fill(table, UPDATED, alias, found, where, values, "", False), condition

    # After the fill

    def _completed(
        self, verb: str, table: Table, fills: list[str], assigned: set[int], output: Output | None
    ) -> ChangePlan:
        inserts = verb in ("INSERT", "MERGE")
        stored = table.stored_columns
        touched = {c.id for c in stored} if inserts else assigned
        identity = table.identity_column
        needs_identity = inserts and identity is not None and self.identity_insert != table.id
        log = Overlay(table).log
        completions: list[str] = []
        if needs_identity and identity is not None and identity.identity is not None:
            step = identity.identity[1]
            number = Ex(f"(:ident+(n-:first)*{step})", names.BIGINT)
            completions.append(
                f"UPDATE {log} SET n{identity.id}={cast_sql(number, identity.type)} WHERE n>=:base AND op={INSERTED}"
            )
        completions += [
            f"UPDATE {log} SET n{c.id}={f1('rowversion', lambda: lambda v: v.to_bytes(8, 'big'), 'n')} "
            f"WHERE n>=:base AND op<>{DELETED}"
            for c in stored
            if c.type.name == "rowversion"
        ]
        unique = [i for i in table.unique_indexes if verb != "DELETE" and any(c in touched for c, _ in i.columns)]
        parents = [f for f in table.foreign_keys if verb != "DELETE" and any(c in touched for c in f.columns)]
        return ChangePlan(
            verb,
            table,
            tuple(fills),
            self.gathered,
            completions=tuple(completions),
            needs_identity=needs_identity,
            not_null=tuple(c.id for c in stored if not c.nullable and c.id in touched and c.type.name != "rowversion")
            if verb != "DELETE"
            else (),
            checks=tuple(self._checks(table)) if verb != "DELETE" else (),
            unique=tuple(unique),
            keys=tuple(table.unique_indexes) if verb in ("DELETE", "MERGE") else tuple(unique),
            parents=tuple(parents),
            children=tuple(self._children(table, assigned)) if verb != "INSERT" else (),
            output=self._output(table, output) if output is not None else None,
        )

    def _checks(self, table: Table) -> list[ConditionCheck]:
        kept, self.scope = self.scope, Scope()
        self.scope.sources.append(BoundSource((table.name.lower(),), self.table_columns(table, "l", "n")))
        try:
            return [
                ConditionCheck(c.name, f"NOT {self.predicate(parse_expression(c.expression))}") for c in table.checks
            ]
        finally:
            self.scope = kept

    def _children(self, table: Table, assigned: set[int]) -> list[tuple[Table, ForeignKey]]:
        """Return the tables and foreign keys that reference this table, as referenced rows may disappear."""
        del assigned  # empty for a delete; an update of other columns costs one extra check
        return [
            (child, key)
            for child in self.environment.tables()
            for key in child.foreign_keys
            if key.table_id == table.id
        ]

    def _output(self, table: Table, output: Output) -> OutputPlan:
        kept, self.scope = self.scope, Scope()
        self.scope.sources.append(BoundSource(("inserted",), self.table_columns(table, "l", "n")))
        self.scope.sources.append(BoundSource(("deleted",), self.table_columns(table, "l", "o")))
        action = f"CASE WHEN l.op={INSERTED} THEN 'INSERT' WHEN l.op={DELETED} THEN 'DELETE' ELSE 'UPDATE' END"
        self.scope.sources.append(
            BoundSource(("$",), (("$action", Ex(action, names.make_type("nvarchar", ("10",)), False)),))
        )
        items = self._items(output.items)
        self.scope = kept
        columns = ", ".join(f"{item.sql} AS k{i}" for i, item in enumerate(items))
        sql = f"SELECT {columns} FROM {Overlay(table).log} AS l WHERE l.n>=:base ORDER BY l.n"
        into = None
        if output.into is not None:
            target = Insert(target=output.into, columns=output.into_columns or None)
            binder = ChangeBinder(self.environment, database=self.database)
            into = binder.insert(target, BoundQuery(sql, tuple(items)))
            self.gathered.tables.update(binder.gathered.tables)
        return OutputPlan(sql, tuple(items), into, self.gathered.variables, self.gathered.session_values)


def _source_named(source: nodes.Source, target: tuple[str, ...]) -> nodes.TableSource | None:
    """Return the table source in FROM that is the target of UPDATE or DELETE, by alias or by name."""
    if isinstance(source, nodes.Join):
        return _source_named(source.left, target) or _source_named(source.right, target)
    if not isinstance(source, nodes.TableSource):
        return None
    name = target[-1].lower()
    if source.alias is not None:
        return source if len(target) == 1 and source.alias.lower() == name else None
    return source if source.name[-1].lower() == name else None
