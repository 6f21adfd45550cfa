"""INSERT, UPDATE, DELETE, MERGE, TRUNCATE."""

from __future__ import annotations

from dstream_sandbox.sqlserver.engine.syntax.nodes import Node, Query, Select, SelectItem
from dstream_sandbox.sqlserver.engine.syntax.queries import _ASSIGNMENTS, QueryParser
from dstream_sandbox.sqlserver.engine.syntax.statements import (
    Assignment,
    Delete,
    Execute,
    Insert,
    Merge,
    MergeClause,
    Output,
    Statement,
    Truncate,
    Update,
)


class ChangeParser(QueryParser):
    """Parses statements that change rows. `ctes` is the WITH clause read before the verb."""

    def execute_statement(self) -> Execute:
        raise NotImplementedError

    def insert(self, ctes: Query | None = None) -> Statement:
        line = self.token.line
        self.expect("INSERT")
        if self.at("BULK"):
            raise self.unsupported("INSERT BULK outside a bulk load")
        top = self.top_clause()
        self.take("INTO")
        target = self.object_name()
        hints = self.hints()
        columns = self.names_in_parentheses() if self.at("(") and not self._query_follows() else None
        output = self._output()
        if self.take("DEFAULT", "VALUES"):
            return Insert(target=target, columns=columns, default_values=True, output=output, hints=hints, line=line)
        if self.at("VALUES"):
            rows = self.values_clause()
            return Insert(target=target, columns=columns, rows=rows, output=output, hints=hints, line=line)
        if self.at_any(("EXEC", "EXECUTE")):
            execute = self.execute_statement()
            return Insert(target=target, columns=columns, execute=execute, output=output, hints=hints, line=line)
        query = self.query()
        if ctes is not None:
            query = Query(
                query.body, ctes.ctes + query.ctes, query.order_by, query.offset, query.fetch, query.max_recursion
            )
        return Insert(target=target, columns=columns, query=query, output=output, top=top, hints=hints, line=line)

    def update(self, ctes: Query | None = None) -> Statement:
        line = self.token.line
        self.expect("UPDATE")
        if self.at("STATISTICS"):
            raise self.unsupported("UPDATE STATISTICS")
        top = self.top_clause()
        target = self.object_name()
        hints = self.hints()
        self.expect("SET")
        assignments = self._assignments()
        output = self._output()
        source = self.from_clause()
        where = self._where()
        self.option_clause()
        return Update(
            target=target, assignments=assignments, source=source, where=where, output=output, top=top, ctes=ctes,
            hints=hints, line=line,
        )  # fmt: skip

    def delete(self, ctes: Query | None = None) -> Statement:
        line = self.token.line
        self.expect("DELETE")
        top = self.top_clause()
        self.take("FROM")
        target = self.object_name()
        hints = self.hints()
        output = self._output()
        source = self.from_clause()
        where = self._where()
        self.option_clause()
        return Delete(
            target=target, source=source, where=where, output=output, top=top, ctes=ctes, hints=hints, line=line
        )

    def _where(self) -> Node | None:
        if not self.take("WHERE"):
            return None
        if self.at("CURRENT"):
            raise self.unsupported("WHERE CURRENT OF")
        return self.expression()

    def _assignments(self) -> tuple[Assignment, ...]:
        assignments = [self._assignment()]
        while self.take(","):
            assignments.append(self._assignment())
        return tuple(assignments)

    def _assignment(self) -> Assignment:
        if self.token.kind == "var":
            variable = self.variable()
            operator = self.advance().text
            if operator == "=" and self.is_identifier() and self.peek().word == "=":
                column = self.identifier()
                self.advance()
                return Assignment(column=column, operator="=", value=self.expression(), variable=variable)
            return Assignment(column="", operator=operator, value=self.expression(), variable=variable)
        column = self.object_name()[-1]
        if self.token.word not in _ASSIGNMENTS:
            raise self.error()
        operator = self.advance().text
        return Assignment(column=column, operator=operator, value=self.expression())

    def _output(self) -> Output | None:
        if not self.take("OUTPUT"):
            return None
        items: list[SelectItem] = [self.select_item()]
        while self.take(","):
            items.append(self.select_item())
        into = None
        columns: tuple[str, ...] = ()
        if self.take("INTO"):
            into = self.object_name()
            columns = self.names_in_parentheses() if self.at("(") else ()
        return Output(items=tuple(items), into=into, into_columns=columns)

    def merge(self, ctes: Query | None = None) -> Statement:
        line = self.token.line
        self.expect("MERGE")
        if self.at("TOP"):
            raise self.unsupported("MERGE TOP")
        self.take("INTO")
        target = self.object_name()
        hints = self.hints()
        alias, _ = self._source_alias()
        self.expect("USING")
        source = self._source()
        self.expect("ON")
        on = self.expression()
        clauses: list[MergeClause] = []
        while self.at("WHEN"):
            clauses.append(self._merge_clause())
        output = self._output()
        self.option_clause()
        if not self.take(";"):
            raise self.error()
        return Merge(
            target=target, alias=alias, source=source, on=on, clauses=tuple(clauses), output=output, ctes=ctes,
            hints=hints, line=line,
        )  # fmt: skip

    def _merge_clause(self) -> MergeClause:
        self.expect("WHEN")
        negated = self.take("NOT")
        self.expect("MATCHED")
        matched = "target" if negated else "matched"
        if negated and self.take("BY"):
            matched = "source" if self.take("SOURCE") else matched
            if matched == "target":
                self.expect("TARGET")
        condition = self.expression() if self.take("AND") else None
        self.expect("THEN")
        if self.take("DELETE"):
            return MergeClause(matched=matched, condition=condition, action="delete")
        if self.take("UPDATE"):
            self.expect("SET")
            return MergeClause(matched=matched, condition=condition, action="update", assignments=self._assignments())
        self.expect("INSERT")
        columns = self.names_in_parentheses() if self.at("(") else None
        if self.take("DEFAULT", "VALUES"):
            return MergeClause(matched=matched, condition=condition, action="insert", columns=())
        self.expect("VALUES")
        return MergeClause(
            matched=matched, condition=condition, action="insert", columns=columns, values=self.arguments()
        )

    def truncate(self) -> Statement:
        line = self.token.line
        self.expect("TRUNCATE", "TABLE")
        return Truncate(target=self.object_name(), line=line)

    def with_statement(self) -> Statement:
        """Parse a statement that begins with WITH; the CTEs belong to the verb that follows."""
        from dstream_sandbox.sqlserver.engine.syntax.nodes import Literal
        from dstream_sandbox.sqlserver.engine.syntax.statements import SelectStatement

        line = self.token.line
        ctes = self.with_clause()
        holder = Query(Select((SelectItem(Literal("null", "")),)), ctes)
        if self.at("INSERT"):
            return self.insert(holder)
        if self.at("UPDATE"):
            return self.update(holder)
        if self.at("DELETE"):
            return self.delete(holder)
        if self.at("MERGE"):
            return self.merge(holder)
        return SelectStatement(query=self.query_after_with(ctes), line=line)
