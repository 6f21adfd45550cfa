"""SELECT with all its clauses, and the table sources of FROM."""

from __future__ import annotations

from dstream_sandbox.sqlserver.engine.syntax.cursor import RESERVED
from dstream_sandbox.sqlserver.engine.syntax.expressions import ExpressionParser
from dstream_sandbox.sqlserver.engine.syntax.nodes import (
    Body,
    Call,
    Cte,
    DerivedSource,
    FunctionSource,
    Join,
    Node,
    Order,
    Query,
    Select,
    SelectItem,
    SetOperation,
    Source,
    TableSource,
    Top,
    ValuesSource,
)
from dstream_sandbox.sqlserver.values import SqlType

_JOIN_STARTS = frozenset({"JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "OUTER"})
_ASSIGNMENTS = ("=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=")
_HINTS_TEXT = """
    NOLOCK READUNCOMMITTED READCOMMITTED READCOMMITTEDLOCK REPEATABLEREAD SERIALIZABLE HOLDLOCK UPDLOCK XLOCK
    ROWLOCK PAGLOCK TABLOCK TABLOCKX READPAST NOWAIT SNAPSHOT NOEXPAND FORCESEEK FORCESCAN INDEX KEEPIDENTITY
    KEEPDEFAULTS IGNORE_CONSTRAINTS IGNORE_TRIGGERS
"""
_HINTS = frozenset(_HINTS_TEXT.split())


class QueryParser(ExpressionParser):
    """Parses queries with their WITH clause."""

    def query(self) -> Query:
        ctes = self.with_clause()
        return self.query_after_with(ctes)

    def query_after_with(self, ctes: tuple[Cte, ...]) -> Query:
        body = self._set_operations()
        order: tuple[Order, ...] = ()
        offset = fetch = None
        if self.take("ORDER", "BY"):
            order = self.order_list()
            offset, fetch = self._offset_fetch()
        if self.at("FOR"):
            raise self.unsupported(f"FOR {self.peek().text}")
        return Query(body, ctes, order, offset, fetch, self.option_clause())

    def with_clause(self) -> tuple[Cte, ...]:
        if not self.at("WITH"):
            return ()
        self.advance()
        ctes = [self._cte()]
        while self.take(","):
            ctes.append(self._cte())
        return tuple(ctes)

    def _cte(self) -> Cte:
        name = self.identifier()
        columns = self.names_in_parentheses() if self.at("(") else ()
        self.expect("AS", "(")
        query = self.query()
        self.expect(")")
        return Cte(name, columns, query)

    def option_clause(self) -> int:
        """Return MAXRECURSION; every other query hint changes only the plan."""
        recursion = 100
        if not self.take("OPTION"):
            return recursion
        self.expect("(")
        depth = 1
        while depth:
            token = self.advance()
            if token.kind == "end":
                raise self.error()
            depth += {"(": 1, ")": -1}.get(token.word, 0)
            if token.word == "MAXRECURSION":
                recursion = self.integer()
        return recursion

    def _offset_fetch(self) -> tuple[Node | None, Node | None]:
        if not self.take("OFFSET"):
            return None, None
        offset = self.scalar()
        if not self.take("ROWS"):
            self.expect("ROW")
        fetch = None
        if self.take("FETCH"):
            if not self.take("NEXT"):
                self.expect("FIRST")
            fetch = self.scalar()
            if not self.take("ROWS"):
                self.expect("ROW")
            self.expect("ONLY")
        return offset, fetch

    def _set_operations(self) -> Body:
        left = self._intersections()
        while self.at_any(("UNION", "EXCEPT")):
            operator = self.advance().word
            if operator == "UNION" and self.take("ALL"):
                left = SetOperation("UNION ALL", left, self._intersections())
            else:
                left = SetOperation("UNION" if operator == "UNION" else "EXCEPT", left, self._intersections())
        return left

    def _intersections(self) -> Body:
        left = self._query_primary()
        while self.take("INTERSECT"):
            left = SetOperation("INTERSECT", left, self._query_primary())
        return left

    def _query_primary(self) -> Body:
        if self.take("("):
            query = self.query()
            self.expect(")")
            return query
        return self._select()

    def _select(self) -> Select:
        self.expect("SELECT")
        distinct = self.take("DISTINCT")
        if not distinct:
            self.take("ALL")
        top = self.top_clause()
        items = [self.select_item()]
        while self.take(","):
            items.append(self.select_item())
        into = self.object_name() if self.take("INTO") else None
        source = self.from_clause()
        where = self.expression() if self.take("WHERE") else None
        group: tuple[Node, ...] = ()
        if self.take("GROUP", "BY"):
            if self.at_any(("ROLLUP", "CUBE", "GROUPING")):
                raise self.unsupported(f"GROUP BY {self.token.text}")
            group = self.expression_list()
        having = self.expression() if self.take("HAVING") else None
        return Select(tuple(items), source, where, group, having, distinct, top, into)

    def top_clause(self) -> Top | None:
        if not self.take("TOP"):
            return None
        if self.take("("):
            count = self.expression()
            self.expect(")")
        else:
            count = self._primary()
        percent = self.take("PERCENT")
        with_ties = self.take("WITH", "TIES")
        return Top(count, percent, with_ties)

    def select_item(self) -> SelectItem:
        if self.token.kind == "var" and self.peek().word in _ASSIGNMENTS and not self.token.text.startswith("@@"):
            name = self.advance().text.lower()
            operator = self.advance().text
            return SelectItem(self.expression(), None, name, operator)
        if self.is_identifier() and self.peek().word == "=":
            alias = self.identifier()
            self.advance()
            return SelectItem(self.expression(), alias)
        node = self.expression()
        return SelectItem(node, self._alias())

    def _alias(self) -> str | None:
        if self.take("AS"):
            token = self.advance()
            if token.kind not in ("id", "qid", "str", "nstr"):
                self.index -= 1
                raise self.error()
            return token.text
        if self.token.kind in ("str", "nstr") or self.is_identifier():
            return self.advance().text
        return None

    def from_clause(self) -> Source | None:
        if not self.take("FROM"):
            return None
        source = self._joined_source()
        while self.take(","):
            source = Join("CROSS", source, self._joined_source(), None)
        return source

    def _joined_source(self) -> Source:
        left = self._source()
        while self.token.word in _JOIN_STARTS:
            left = self._join(left)
        return left

    def _join(self, left: Source) -> Source:
        word = self.advance().word
        if word in ("CROSS", "OUTER") and self.take("APPLY"):
            return Join("CROSS APPLY" if word == "CROSS" else "OUTER APPLY", left, self._source(), None)
        if word == "CROSS":
            self.expect("JOIN")
            return Join("CROSS", left, self._source(), None)
        if word in ("LEFT", "RIGHT", "FULL"):
            self.take("OUTER")
        if word != "JOIN":
            if self.at_any(("HASH", "LOOP", "MERGE", "REMOTE")):
                self.advance()
            self.expect("JOIN")
        right = self._source()
        while self.token.word in _JOIN_STARTS and not self.at("ON"):
            right = self._join(right)
        self.expect("ON")
        kind = word if word in ("LEFT", "RIGHT", "FULL") else "INNER"
        return Join(kind, left, right, self.expression())  # type: ignore[arg-type]  # one of the four

    def _source(self) -> Source:
        if self.at("("):
            return self._parenthesised_source()
        name = self.object_name()
        if self.at("(") and not (len(name) == 1 and self._hints_follow()):
            call = self.call(name)
            if not isinstance(call, Call):
                raise self.unsupported("XML methods as a table")
            schema = self._json_schema() if self.at("WITH", "(") and name[-1].lower() == "openjson" else ()
            alias, columns = self._source_alias()
            return FunctionSource(call, alias, columns, schema)
        if self.at("TABLESAMPLE") or self.at("FOR", "SYSTEM_TIME"):
            raise self.unsupported(self.token.text)
        alias, _ = self._source_alias()
        hints = self.hints()
        if alias is None:
            alias, _ = self._source_alias()
        if self.at_any(("PIVOT", "UNPIVOT")):
            raise self.unsupported(self.token.text)
        return TableSource(name, alias, hints)

    def _hints_follow(self) -> bool:
        """Whether hints follow in the legacy form `FROM t (NOLOCK)`."""
        return self.peek().word in _HINTS and self.peek(2).word in (")", ",")

    def _parenthesised_source(self) -> Source:
        if self.peek().word == "VALUES":
            self.advance()
            rows = self.values_clause()
            self.expect(")")
            alias, columns = self._source_alias()
            if alias is None:
                raise self.error()
            return ValuesSource(rows, alias, columns)
        if self._query_follows():
            self.expect("(")
            query = self.query()
            self.expect(")")
            alias, columns = self._source_alias()
            if alias is None:
                raise self.error()
            return DerivedSource(query, alias, columns)
        self.expect("(")
        source = self._joined_source()
        self.expect(")")
        return source

    def values_clause(self) -> tuple[tuple[Node, ...], ...]:
        self.expect("VALUES")
        rows = [self.arguments()]
        while self.take(","):
            rows.append(self.arguments())
        return tuple(rows)

    def _source_alias(self) -> tuple[str | None, tuple[str, ...]]:
        explicit = self.take("AS")
        if not self.is_identifier() or (not explicit and self.token.word in _STATEMENT_WORDS):
            if explicit:
                raise self.error()
            return None, ()
        alias = self.advance().text
        if self.at("(") and not self._hints_follow():
            return alias, self.names_in_parentheses()
        return alias, ()

    def hints(self) -> frozenset[str]:
        """Parse WITH (...) after a table, or the legacy form without WITH."""
        if self.at("WITH", "("):
            self.advance()
        elif not (self.at("(") and self._hints_follow()):
            return frozenset()
        self.expect("(")
        words: set[str] = set()
        while not self.take(")"):
            word = self.advance().word
            if word not in _HINTS:
                self.index -= 1
                raise self.error()
            words.add(word)
            if word == "INDEX":
                self._skip_index_hint()
            self.take(",")
        return frozenset(words)

    def _skip_index_hint(self) -> None:
        if self.take("="):
            if self.take("("):
                self.advance()
                self.expect(")")
            else:
                self.advance()
            return
        self.expect("(")
        while not self.take(")"):
            self.advance()

    def _json_schema(self) -> tuple[tuple[str, SqlType, str | None, bool], ...]:
        self.expect("WITH", "(")
        columns: list[tuple[str, SqlType, str | None, bool]] = []
        while True:
            name = self.identifier()
            type_ = self.data_type()
            path = self.advance().text if self.token.kind in ("str", "nstr") else None
            columns.append((name, type_, path, self.take("AS", "JSON")))
            if not self.take(","):
                break
        self.expect(")")
        return tuple(columns)


_STATEMENT_WORDS = frozenset({"THROW", "OUTPUT", "OFFSET", "OPTION", "GO", "WITHIN", "WINDOW"}) | RESERVED
