"""Expressions and predicates, by precedence climbing (Microsoft Learn, "Operator precedence (Transact-SQL)")."""

from __future__ import annotations

from dstream_sandbox.sqlserver.engine.syntax.cursor import RESERVED, Cursor
from dstream_sandbox.sqlserver.engine.syntax.nodes import (
    AtTimeZone,
    Between,
    Binary,
    Call,
    Case,
    Cast,
    Collate,
    Compare,
    Default,
    Exists,
    InList,
    InQuery,
    IsNull,
    Like,
    Literal,
    Logical,
    Method,
    Name,
    Node,
    Not,
    Order,
    Quantified,
    Query,
    Star,
    StaticMethod,
    Subquery,
    Unary,
    Variable,
    Window,
)
from dstream_sandbox.sqlserver.engine.types.names import make_type

_COMPARISONS = ("=", "<>", "!=", "<", ">", "<=", ">=", "!<", "!>")
_ADDITIVE = ("+", "-", "&", "|", "^")
_MULTIPLICATIVE = ("*", "/", "%")
_LITERALS = frozenset({"int", "dec", "float", "money", "str", "nstr", "bin"})
_NILADIC = frozenset({"CURRENT_TIMESTAMP", "CURRENT_USER", "SESSION_USER", "SYSTEM_USER", "USER", "CURRENT_DATE"})
_CLR_TYPES = frozenset({"HIERARCHYID", "GEOMETRY", "GEOGRAPHY"})
_CALLABLE_KEYWORDS = frozenset({"LEFT", "RIGHT", "COALESCE", "NULLIF", "CONVERT", "TRY_CONVERT"})


class ExpressionParser(Cursor):
    """Parses expressions; subqueries are parsed by the query parser, a subclass."""

    def query(self) -> Query:
        raise NotImplementedError

    def expression(self) -> Node:
        return self._or()

    def _or(self) -> Node:
        left = self._and()
        while self.take("OR"):
            left = Logical("OR", left, self._and())
        return left

    def _and(self) -> Node:
        left = self._not()
        while self.take("AND"):
            left = Logical("AND", left, self._not())
        return left

    def _not(self) -> Node:
        if self.take("NOT"):
            return Not(self._not())
        return self._predicate()

    def _predicate(self) -> Node:
        if self.at("EXISTS", "("):
            self.advance()
            return Exists(self._parenthesised_query())
        left = self.scalar()
        while True:
            token = self.token.word
            if token in _COMPARISONS and token:
                left = self._comparison(left)
            elif token == "IS":
                self.advance()
                negated = self.take("NOT")
                self.expect("NULL")
                left = IsNull(left, negated)
            elif token in ("IN", "BETWEEN", "LIKE") or (
                token == "NOT" and self.peek().word in ("IN", "BETWEEN", "LIKE")
            ):
                left = self._range_predicate(left)
            else:
                return left

    def _comparison(self, left: Node) -> Node:
        operator = self.advance().text
        operator = {"!=": "<>", "!<": ">=", "!>": "<="}.get(operator, operator)
        if self.at_any(("ANY", "SOME", "ALL")):
            every = self.advance().word == "ALL"
            return Quantified(operator, left, every, self._parenthesised_query())
        return Compare(operator, left, self.scalar())

    def _range_predicate(self, left: Node) -> Node:
        negated = self.take("NOT")
        word = self.advance().word
        if word == "BETWEEN":
            low = self.scalar()
            self.expect("AND")
            return Between(left, low, self.scalar(), negated)
        if word == "LIKE":
            pattern = self.scalar()
            escape = self.scalar() if self.take("ESCAPE") else None
            return Like(left, pattern, escape, negated)
        if self.token.word == "(" and self._query_follows():
            return InQuery(left, self._parenthesised_query(), negated)
        return InList(left, self.arguments(), negated)

    def scalar(self) -> Node:
        left = self._term()
        while self.token.word in _ADDITIVE and self.token.kind == "op":
            operator = self.advance().text
            left = Binary(operator, left, self._term())
        return left

    def _term(self) -> Node:
        left = self._unary()
        while self.token.word in _MULTIPLICATIVE and self.token.kind == "op":
            operator = self.advance().text
            left = Binary(operator, left, self._unary())
        return left

    def _unary(self) -> Node:
        if self.token.kind == "op" and self.token.word in ("-", "+", "~"):
            operator = self.advance().text
            return Unary(operator, self._unary())
        return self._postfix(self._primary())

    def _postfix(self, node: Node) -> Node:
        while True:
            if self.take("COLLATE"):
                node = Collate(node, self.identifier())
            elif self.at("AT", "TIME", "ZONE"):
                self.index += 3
                node = AtTimeZone(node, self._unary())
            elif self.token.word == "." and self.peek().kind in ("id", "qid") and not isinstance(node, Name):
                self.advance()
                node = self._method(node, self.advance().text)
            else:
                return node

    def _method(self, node: Node, name: str) -> Node:
        return Method(node, name, self.arguments() if self.token.word == "(" else None)

    def _primary(self) -> Node:
        token = self.token
        if token.kind in _LITERALS:
            self.advance()
            return Literal(token.kind, token.text)  # type: ignore[arg-type]  # one of _LITERALS
        if token.kind == "var":
            self.advance()
            return Variable(token.text.lower())
        if token.word == "(":
            return self._parenthesised()
        if token.word == "{":
            return self._odbc_escape()
        return self._word()

    def _parenthesised(self) -> Node:
        if self._query_follows():
            return Subquery(self._parenthesised_query())
        self.expect("(")
        node = self.expression()
        self.expect(")")
        return node

    def _query_follows(self) -> bool:
        """Whether SELECT (or WITH) follows any number of '('."""
        ahead = 0
        while self.peek(ahead).word == "(":
            ahead += 1
        return self.peek(ahead).word in ("SELECT", "WITH") and ahead > 0 and self._closes_as_query(ahead)

    def _closes_as_query(self, depth: int) -> bool:
        """`((SELECT 1) + 2)` is an expression, `((SELECT 1) UNION ...)` a query."""
        if depth == 1:
            return True
        open_count, index = 0, self.index
        while index < len(self.tokens):
            word = self.tokens[index].word
            open_count += {"(": 1, ")": -1}.get(word, 0)
            if open_count == depth - 1 and word == ")":
                following = self.tokens[index + 1].word
                return following in ("UNION", "EXCEPT", "INTERSECT", ")", "ORDER")
            index += 1
        return False

    def _parenthesised_query(self) -> Query:
        self.expect("(")
        query = self.query()
        self.expect(")")
        return query

    def _odbc_escape(self) -> Node:
        """Parse {d '...'}, {t '...'}, {ts '...'}, {guid '...'} or {fn f(...)}."""
        self.expect("{")
        kind = self.advance().text.lower()
        if kind == "fn":
            node = self._word()
        else:
            type_ = {"d": "date", "t": "time", "ts": "datetime2", "guid": "uniqueidentifier"}.get(kind)
            if type_ is None:
                raise self.unsupported(f"the ODBC escape {{{kind} ...}}")
            node = Cast(self._primary(), make_type(type_))
        self.expect("}")
        return node

    def _word(self) -> Node:
        token = self.token
        word = token.word
        if word == "NULL":
            self.advance()
            return Literal("null", "")
        if word == "CASE":
            return self._case()
        if word == "*":
            self.advance()
            return Star(())
        if word == "DEFAULT":
            self.advance()
            return Default()
        if word in ("CAST", "TRY_CAST", "PARSE", "TRY_PARSE") and self.peek().word == "(":
            return self._cast()
        if word in ("CONVERT", "TRY_CONVERT") and self.peek().word == "(":
            return self._convert()
        if word in _NILADIC and self.peek().word != "(" and self.peek().word != ".":
            self.advance()
            return Call((token.text.lower(),), ())
        if word in _CLR_TYPES and self.peek().word == "::":
            return self._static_method()
        if word in RESERVED and not (word in _CALLABLE_KEYWORDS and self.peek().word == "("):
            raise self.error()
        return self._name_or_call()

    def _static_method(self) -> Node:
        type_ = self.advance().text.lower()
        self.expect("::")
        name = self.name_part()
        return StaticMethod(type_, name, self.arguments() if self.token.word == "(" else ())

    def _name_or_call(self) -> Node:
        if self.token.kind not in ("id", "qid"):
            raise self.error()
        parts = [self.advance().text]
        while self.token.word == ".":
            if self.peek().word == "*":
                self.index += 2
                return Star(tuple(parts))
            self.advance()
            parts.append("" if self.token.word == "." else self.name_part())
        if self.token.word == "(":
            return self.call(tuple(parts))
        return Name(tuple(parts))

    def call(self, name: tuple[str, ...]) -> Node:
        """Parse the arguments of a function whose name has been read; or a column's method, if the name ends in one."""
        lowered = tuple(part.lower() for part in name)
        if len(name) > 1 and name[-1] in _METHODS:
            return Method(Name(name[:-1]), name[-1], self.arguments())
        if lowered[-1] in _DATE_PART_FUNCTIONS:
            return Call(lowered, self._date_part_arguments())
        self.expect("(")
        if self.take("*"):
            self.expect(")")
            return self._over(Call(lowered, (), star=True))
        distinct = self.take("DISTINCT")
        if not distinct:
            self.take("ALL")
        args: list[Node] = []
        if not self.at(")"):
            args.append(self.expression())
            while self.take(","):
                args.append(self.expression())
        self.expect(")")
        within: tuple[Order, ...] = ()
        if self.take("WITHIN", "GROUP"):
            self.expect("(", "ORDER", "BY")
            within = self.order_list()
            self.expect(")")
        return self._over(Call(lowered, tuple(args), distinct=distinct, within=within))

    def _date_part_arguments(self) -> tuple[Node, ...]:
        self.expect("(")
        args: list[Node] = [Literal("str", self.name_part().lower())]
        while self.take(","):
            args.append(self.expression())
        self.expect(")")
        return tuple(args)

    def _over(self, call: Call) -> Node:
        if not self.take("OVER"):
            return call
        self.expect("(")
        partition: tuple[Node, ...] = ()
        order: tuple[Order, ...] = ()
        if self.take("PARTITION", "BY"):
            partition = self.expression_list()
        if self.take("ORDER", "BY"):
            order = self.order_list()
        frame = self._frame()
        self.expect(")")
        return Call(call.name, call.args, call.distinct, call.star, Window(partition, order, frame), call.within)

    def _frame(self) -> str:
        if not self.at_any(("ROWS", "RANGE")):
            return ""
        words: list[str] = []
        while not self.at(")"):
            words.append(self.advance().text.upper())
        return " ".join(words)

    def order_list(self) -> tuple[Order, ...]:
        orders = [self._order()]
        while self.take(","):
            orders.append(self._order())
        return tuple(orders)

    def _order(self) -> Order:
        node = self.expression()
        descending = self.take("DESC")
        if not descending:
            self.take("ASC")
        return Order(node, descending)

    def expression_list(self) -> tuple[Node, ...]:
        nodes = [self.expression()]
        while self.take(","):
            nodes.append(self.expression())
        return tuple(nodes)

    def arguments(self) -> tuple[Node, ...]:
        self.expect("(")
        if self.take(")"):
            return ()
        args = self.expression_list()
        self.expect(")")
        return args

    def _case(self) -> Node:
        self.expect("CASE")
        subject = None if self.at("WHEN") else self.expression()
        branches: list[tuple[Node, Node]] = []
        while self.take("WHEN"):
            condition = self.expression()
            self.expect("THEN")
            branches.append((condition, self.expression()))
        otherwise = self.expression() if self.take("ELSE") else None
        self.expect("END")
        return Case(subject, tuple(branches), otherwise)

    def _cast(self) -> Node:
        word = self.advance().word
        self.expect("(")
        operand = self.expression()
        self.expect("AS")
        type_ = self.data_type(in_cast=True)
        if self.take("USING"):
            self.scalar()
        self.expect(")")
        return Cast(operand, type_, None, word.startswith("TRY"), "PARSE" in word)

    def _convert(self) -> Node:
        is_try = self.advance().word == "TRY_CONVERT"
        self.expect("(")
        type_ = self.data_type(in_cast=True)
        self.expect(",")
        operand = self.expression()
        style = self.expression() if self.take(",") else None
        self.expect(")")
        return Cast(operand, type_, style, is_try)


_DATE_PART_FUNCTIONS = frozenset(
    {"dateadd", "datediff", "datediff_big", "datepart", "datename", "datetrunc", "date_bucket"}
)
_METHODS_TEXT = """
    ToString GetLevel GetAncestor GetDescendant IsDescendantOf GetReparentedValue STAsText STAsBinary STDistance
    STEquals STIsValid STX STY STGeometryType STNumPoints STPointN STSrid AsTextZM ToXml nodes value query exist
"""
_METHODS = frozenset(_METHODS_TEXT.split())
