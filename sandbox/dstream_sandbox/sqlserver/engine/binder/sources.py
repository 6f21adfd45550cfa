"""Compiles FROM: tables, views, derived tables, joins, table functions."""

from __future__ import annotations

from dataclasses import replace

from dstream_sandbox.sqlserver.engine.binder.casts import cast_sql
from dstream_sandbox.sqlserver.engine.binder.environment import SystemView
from dstream_sandbox.sqlserver.engine.binder.expression import Ex, f2
from dstream_sandbox.sqlserver.engine.binder.functions import FunctionBinder
from dstream_sandbox.sqlserver.engine.binder.json_paths import json_rows, split_rows
from dstream_sandbox.sqlserver.engine.binder.scope import BoundSource, Scope
from dstream_sandbox.sqlserver.engine.catalog.model import Table, View
from dstream_sandbox.sqlserver.engine.errors import invalid_object, unsupported
from dstream_sandbox.sqlserver.engine.storage.marks import mark
from dstream_sandbox.sqlserver.engine.syntax import nodes
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import SqlType

_EXCLUSIVE_HINTS = frozenset({"TABLOCKX", "XLOCK", "UPDLOCK"})
_SHARED_HINTS = frozenset({"TABLOCK", "HOLDLOCK", "SERIALIZABLE", "REPEATABLEREAD"})
_KEEP_HINTS = frozenset({"HOLDLOCK", "SERIALIZABLE", "REPEATABLEREAD"})


class SourceBinder(FunctionBinder):
    """Compiles FROM clauses. Every source gets its own SQLite alias; columns are known by position, not by name."""

    def __init__(self, environment: object) -> None:
        super().__init__(environment)  # type: ignore[arg-type]  # an Environment
        self._aliases = 0
        self.ctes: list[dict[str, BoundSource]] = []
        """CTEs in scope, innermost last, as sources without an alias."""

    def next_alias(self) -> str:
        self._aliases += 1
        return f"a{self._aliases}"

    def source(self, source: nodes.Source) -> str:
        """Return the SQL of a table source and add its columns to the scope."""
        match source:
            case nodes.TableSource():
                return self.table_source(source)
            case nodes.Join():
                return self._join(source)
            case nodes.DerivedSource():
                return self._derived(source)
            case nodes.ValuesSource():
                return self._values(source)
            case nodes.FunctionSource():
                return self._function(source)
        raise unsupported(type(source).__name__)

    def table_source(self, source: nodes.TableSource) -> str:
        cte = self._cte(source)
        if cte is not None:
            return cte
        found = self.environment.find(source.name)
        shown = source.alias or source.name[-1]
        if found is None:
            raise invalid_object(".".join(source.name))
        if isinstance(found, SystemView):
            return self._system_view(found, source.alias)
        if isinstance(found, View):
            self.environment.require("SELECT", found)
            return self._view(found, shown)
        self.environment.require("SELECT", found)
        self._locks(found, source.hints)
        return self.table(found, source.alias)

    def table(self, table: Table, alias: str | None) -> str:
        """Compile a stored table. Computed columns are their expressions."""
        name = self.next_alias()
        self.gathered.tables.add(table.id)
        qualifiers = (alias.lower(),) if alias else (table.schema.lower(), table.name.lower())
        bound = BoundSource(qualifiers, self.table_columns(table, name), name)
        self.scope.sources.append(bound)
        if table.filter:
            return f"(SELECT * FROM {mark(table.id)} WHERE {table.filter}) AS {name}"
        return f"{mark(table.id)} AS {name}"

    def table_columns(self, table: Table, alias: str, prefix: str = "c") -> tuple[tuple[str, Ex], ...]:
        """Return the columns of `table` under an alias. Prefix o or n selects the before- or after-image in its log."""
        is_masked = any(c.mask for c in table.columns) and not self.environment.unmasks(table)
        stored = tuple(
            (
                c.name,
                Ex(
                    f"{alias}.{prefix}{c.id}", c.type, c.nullable, name=c.name, identity=c.identity is not None,
                    masked=is_masked and bool(c.mask),
                ),
            )
            for c in table.stored_columns
        )  # fmt: skip
        if len(stored) == len(table.columns):
            return stored
        by_name = dict(stored)
        columns: list[tuple[str, Ex]] = []
        for column in table.columns:
            if column.computed is None:
                columns.append((column.name, by_name[column.name]))
            else:
                columns.append((column.name, self._computed(column.computed, column.type, column.name, stored)))
        return tuple(columns)

    def _computed(self, text: str, type_: SqlType, name: str, stored: tuple[tuple[str, Ex], ...]) -> Ex:
        from dstream_sandbox.sqlserver.engine.syntax.batch import parse_expression

        ex = self.bind_in(Scope([BoundSource(("t",), stored)]), parse_expression(text))
        return Ex(cast_sql(ex, type_), type_, True, name=name, computed=True)

    def bind_in(self, scope: Scope, node: nodes.Node) -> Ex:
        """Compile a value in another scope."""
        kept, self.scope = self.scope, scope
        try:
            return self.value(node)
        finally:
            self.scope = kept

    def _locks(self, table: Table, hints: frozenset[str]) -> None:
        if table.storage == "temp":
            return
        if "READPAST" in hints:
            raise unsupported("the READPAST hint")
        if hints & _EXCLUSIVE_HINTS:
            self.gathered.locks.append((table.id, "X"))
        elif hints & _SHARED_HINTS:
            self.gathered.locks.append((table.id, "S" if hints & _KEEP_HINTS else "s"))
        elif (mode := self.environment.read_lock()) and not hints & {"NOLOCK", "READUNCOMMITTED", "READCOMMITTED"}:
            self.gathered.locks.append((table.id, mode))

    def _cte(self, source: nodes.TableSource) -> str | None:
        if len(source.name) != 1:
            return None
        for frame in reversed(self.ctes):
            found = frame.get(source.name[0].lower())
            if found is not None:
                alias = self.next_alias()
                columns = tuple(
                    (name, Ex(f"{alias}.k{i}", ex.type, ex.nullable, ex.collation, name=name))
                    for i, (name, ex) in enumerate(found.columns)
                )
                shown = (source.alias or source.name[0]).lower()
                self.scope.sources.append(BoundSource((shown,), columns, alias))
                return f"{found.alias} AS {alias}"
        return None

    def _system_view(self, view: SystemView, alias: str | None) -> str:
        name = self.next_alias()
        self.gathered.views[view.name] = view
        qualifiers = (alias.lower(),) if alias else tuple(view.name.lower().split("."))
        collation = self.environment.catalog_collation
        types = [replace(t, collation=collation) if t.collation else t for _, t in view.columns]
        columns = tuple(
            (c, Ex(f"{name}.k{i}", t, name=c)) for i, ((c, _), t) in enumerate(zip(view.columns, types, strict=True))
        )
        self.scope.sources.append(BoundSource(qualifiers, columns, name))
        return f"{view.stored_name} AS {name}"

    def _view(self, view: View, shown: str) -> str:
        query, columns = self.environment.view_query(view)
        kept_ctes, self.ctes = self.ctes, []
        try:
            return self._derived(nodes.DerivedSource(query, shown, columns), parent=None)
        finally:
            self.ctes = kept_ctes

    def _derived(self, source: nodes.DerivedSource, parent: Scope | None = None) -> str:
        kept = self.scope
        self.scope = Scope(parent=kept.parent) if parent is None else parent
        try:
            bound = self.bind_query(source.query)
        finally:
            self.scope = kept
        alias = self.next_alias()
        shown = source.columns or tuple(c.name for c in bound.columns)
        columns = tuple(
            (name, Ex(f"{alias}.k{i}", c.type, c.nullable, c.collation, name=name, identity=c.identity))
            for i, (name, c) in enumerate(zip(shown, bound.columns, strict=True))
        )
        self.scope.sources.append(BoundSource((source.alias.lower(),), columns, alias))
        return f"({bound.sql}) AS {alias}"

    def _values(self, source: nodes.ValuesSource) -> str:
        rows = [[self.value(cell) for cell in row] for row in source.rows]
        types = [self.common([row[i] for row in rows]) for i in range(len(rows[0]))]
        body = ",".join("(" + ",".join(self.to(c, t) for c, t in zip(row, types, strict=True)) + ")" for row in rows)
        alias = self.next_alias()
        columns = tuple(
            (name, Ex(f"{alias}.column{i + 1}", t, name=name))
            for i, (name, t) in enumerate(zip(source.columns, types, strict=True))
        )
        self.scope.sources.append(BoundSource((source.alias.lower(),), columns, alias))
        return f"(VALUES {body}) AS {alias}"

    def _join(self, join: nodes.Join) -> str:
        left = self.source(join.left)
        if join.kind in ("CROSS APPLY", "OUTER APPLY"):
            return self._apply(left, join)
        right = self.source(join.right)
        if isinstance(join.right, nodes.Join):
            right = f"({right})"
        if join.on is None:
            return f"{left} CROSS JOIN {right}"
        condition = self.predicate(join.on)
        word = {"INNER": "JOIN", "LEFT": "LEFT JOIN", "RIGHT": "RIGHT JOIN", "FULL": "FULL JOIN"}[join.kind]
        return f"{left} {word} {right} ON {condition}"

    def _apply(self, left: str, join: nodes.Join) -> str:
        """Compile APPLY. SQLite supports correlation only for table functions."""
        if isinstance(join.right, nodes.ValuesSource) and len(join.right.rows) == 1 and join.kind == "CROSS APPLY":
            row = join.right.rows[0]
            alias = join.right.alias.lower()
            columns = tuple((n, self.value(cell)) for n, cell in zip(join.right.columns, row, strict=True))
            self.scope.sources.append(BoundSource((alias,), columns))
            return left
        if not isinstance(join.right, nodes.FunctionSource):
            raise unsupported(f"{join.kind} with a subquery")
        right = self.source(join.right)
        return f"{left} JOIN {right}" if join.kind == "CROSS APPLY" else f"{left} LEFT JOIN {right} ON 1"

    def _function(self, source: nodes.FunctionSource) -> str:
        call = source.call
        name = call.name[-1]
        if name == "generate_series":
            return self._series(source)
        if name == "string_split":
            return self._split(source)
        if name == "openjson":
            return self._openjson(source)
        args = [self.value(a) for a in call.args]
        found = self.environment.function_query(call.name, args)
        if found is None:
            raise invalid_object(".".join(call.name))
        self.gathered.tables.update(found.tables)
        alias = self.next_alias()
        shown = source.columns or tuple(c for c, _ in found.columns)
        columns = tuple(
            (n, Ex(f"{alias}.k{i}", t, name=n)) for i, (n, (_, t)) in enumerate(zip(shown, found.columns, strict=True))
        )
        self.scope.sources.append(BoundSource(((source.alias or name).lower(),), columns, alias))
        return f"({found.sql}) AS {alias}"

    def _series(self, source: nodes.FunctionSource) -> str:
        args = [self.value(a) for a in source.call.args]
        if len(args) not in (2, 3):
            raise SqlError(
                313, "An insufficient number of arguments were supplied for the procedure or function GENERATE_SERIES."
            )
        type_ = self.common(args) or names.INT
        if type_.name not in names.INTEGERS:
            raise unsupported("GENERATE_SERIES over types other than integers")
        start, stop = self.to(args[0], type_), self.to(args[1], type_)
        step = self.to(args[2], type_) if len(args) == 3 else f"CASE WHEN {start}<={stop} THEN 1 ELSE -1 END"
        alias = self.next_alias()
        shown = source.columns or ("value",)
        self.scope.sources.append(
            BoundSource(
                ((source.alias or "generate_series").lower(),), ((shown[0], Ex(f"{alias}.v", type_, False)),), alias
            )
        )
        body = (
            f"WITH RECURSIVE s(v,e,d) AS (SELECT {start},{stop},{step} WHERE ({step}>0 AND "
            f"{start}<={stop}) OR ({step}<0 AND {start}>={stop}) "
            "UNION ALL SELECT v+d,e,d FROM s WHERE CASE WHEN d>0 THEN v+d<=e ELSE v+d>=e END) SELECT v FROM s"
        )
        return f"({body}) AS {alias}"

    def _split(self, source: nodes.FunctionSource) -> str:
        text, separator = self.value(source.call.args[0]), self.value(source.call.args[1])
        alias = self.next_alias()
        shown = source.columns or ("value", "ordinal")
        type_ = names.NVARCHAR_MAX if text.type is None or text.type.name in names.UNICODE else names.VARCHAR_MAX
        columns = [(shown[0], Ex(f"{alias}.value", type_, name=shown[0]))]
        if len(source.call.args) > 2:
            columns.append((shown[1], Ex(f"({alias}.key+1)", names.BIGINT, False, name=shown[1])))
        self.scope.sources.append(BoundSource(((source.alias or "string_split").lower(),), tuple(columns), alias))
        return f"json_each({f2('split_rows', lambda: split_rows, text.sql, separator.sql)}) AS {alias}"

    def _openjson(self, source: nodes.FunctionSource) -> str:
        args = [self.value(a) for a in source.call.args]
        path = args[1].sql if len(args) > 1 else "'$'"
        alias = self.next_alias()
        shown = (source.alias or "openjson").lower()
        if source.schema:
            columns = tuple((n, self._json_field(f"{alias}.value", n, t, p, j)) for n, t, p, j in source.schema)
        else:
            columns = (
                ("key", Ex(f"(json_extract({alias}.value,'$.k'))", SqlType("nvarchar", 4000), name="key")),
                ("value", Ex(f"(json_extract({alias}.value,'$.v'))", names.NVARCHAR_MAX, name="value")),
                ("type", Ex(f"(json_extract({alias}.value,'$.t'))", names.TINYINT, name="type")),
            )
        self.scope.sources.append(BoundSource((shown,), columns, alias))
        whole = bool(source.schema)
        return f"json_each({f2(('json_rows', whole), lambda: json_rows(whole), args[0].sql, path)}) AS {alias}"

    def _json_field(self, value: str, name: str, type_: SqlType, path: str | None, as_json: bool) -> Ex:
        from dstream_sandbox.sqlserver.engine.binder.json_paths import json_field

        where = path or f"$.{name}"
        text = Ex(f2(("json_field", as_json), lambda: json_field(as_json), value, f"'{where}'"), names.NVARCHAR_MAX)
        return Ex(cast_sql(text, type_), type_, name=name)
