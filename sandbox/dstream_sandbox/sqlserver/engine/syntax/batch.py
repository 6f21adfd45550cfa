"""Batches: statement dispatch and control flow. `parse_batch` is the entry point of the syntax package."""

from __future__ import annotations

from dstream_sandbox.sqlserver.engine.syntax.definitions import DefinitionParser
from dstream_sandbox.sqlserver.engine.syntax.nodes import Literal, Node
from dstream_sandbox.sqlserver.engine.syntax.queries import _ASSIGNMENTS
from dstream_sandbox.sqlserver.engine.syntax.statements import (
    Block,
    Break,
    Continue,
    Declare,
    DeclaredVariable,
    Execute,
    If,
    Parameter,
    Print,
    ProcedureArgument,
    RaiseError,
    Return,
    SelectStatement,
    SetIdentityInsert,
    SetOption,
    SetVariable,
    Statement,
    Throw,
    Transaction,
    TryCatch,
    Use,
    WaitFor,
    While,
)


def parse_batch(sql: str) -> tuple[Statement, ...]:
    """Parse a batch. Raises SqlError 102, 105, 113, 156 or, for what the sandbox does not support, 40515."""
    return BatchParser(sql).batch()


def parse_parameters(declarations: str) -> tuple[Parameter, ...]:
    """Parse declarations such as `@P1 int, @P2 nvarchar(4000) OUTPUT`."""
    return BatchParser(declarations).parameters()


def parse_expression(text: str) -> Node:
    """Parse a stored default, check or computed column."""
    return BatchParser(text).expression()


class BatchParser(DefinitionParser):
    """Parses a whole batch."""

    def batch(self) -> tuple[Statement, ...]:
        statements: list[Statement] = []
        while True:
            while self.take(";"):
                pass
            if self.token.kind == "end":
                return tuple(statements)
            if not statements and self._bare_call():
                statements.append(self._execute_rest(self.token.line))
            else:
                statements.append(self.statement())

    def _bare_call(self) -> bool:
        """The first statement of a batch can omit EXEC."""
        token = self.token
        if token.kind == "qid":
            return True
        return token.kind == "id" and (token.word.startswith(("SP_", "XP_")) or self.peek().word == ".")

    def statements_until_end(self) -> tuple[Statement, ...]:
        statements: list[Statement] = []
        while True:
            while self.take(";"):
                pass
            if self.token.kind == "end":
                return tuple(statements)
            statements.append(self.statement())

    def statement(self) -> Statement:
        word = self.token.word
        parse = _DISPATCH.get(word)
        if parse is None:
            if word == "(" and self._query_follows():
                return SelectStatement(query=self.query(), line=self.token.line)
            raise self.error()
        return parse(self)

    def select_statement(self) -> Statement:
        line = self.token.line
        return SelectStatement(query=self.query(), line=line)

    def begin(self) -> Statement:
        line = self.token.line
        self.expect("BEGIN")
        if self.at_any(("TRAN", "TRANSACTION")):
            return self._transaction("begin", line)
        if self.at("DISTRIBUTED"):
            raise self.unsupported("distributed transactions")
        if self.take("TRY"):
            body = self._until("TRY")
            self.take(";")
            self.expect("BEGIN", "CATCH")
            return TryCatch(body=body, handler=self._until("CATCH"), line=line)
        return Block(body=self._until(""), line=line)

    def _until(self, word: str) -> tuple[Statement, ...]:
        """Parse statements up to END (TRY, CATCH)."""
        statements: list[Statement] = []
        while True:
            while self.take(";"):
                pass
            if self.at("END") and (not word or self.peek().word == word):
                self.advance()
                if word:
                    self.advance()
                return tuple(statements)
            statements.append(self.statement())

    def _transaction(self, action: str, line: int) -> Statement:
        self.advance()
        name, variable = "", None
        if self.token.kind == "var":
            variable = self.variable()
        elif self.is_identifier() and self.token.word not in ("THROW",):
            name = self.identifier()
        if action == "begin" and self.take("WITH"):
            self.expect("MARK")
            if self.token.kind in ("str", "nstr"):
                self.advance()
        if action == "commit" and self.at("WITH", "("):
            self.advance()
            self._skip_parentheses()
        return Transaction(action=action, name=name, variable=variable, line=line)

    def end_transaction(self) -> Statement:
        line = self.token.line
        action = self.advance().word.lower()
        if self.at_any(("TRAN", "TRANSACTION")):
            return self._transaction(action, line)
        if action == "save":
            raise self.error()
        self.take("WORK")
        return Transaction(action=action, line=line)

    def if_statement(self) -> Statement:
        line = self.token.line
        self.expect("IF")
        condition = self.expression()
        self.take(";")
        then = self.statement()
        mark = self.index
        while self.take(";"):
            pass
        if self.take("ELSE"):
            return If(condition=condition, then=then, otherwise=self.statement(), line=line)
        self.index = mark
        return If(condition=condition, then=then, line=line)

    def while_statement(self) -> Statement:
        line = self.token.line
        self.expect("WHILE")
        condition = self.expression()
        return While(condition=condition, body=self.statement(), line=line)

    def declare(self) -> Statement:
        line = self.token.line
        self.expect("DECLARE")
        variables = [self._declared()]
        while self.take(","):
            variables.append(self._declared())
        return Declare(variables=tuple(variables), line=line)

    def _declared(self) -> DeclaredVariable:
        name = self.variable() if self.token.kind == "var" else self.identifier()
        self.take("AS")
        if self.at("CURSOR"):
            raise self.unsupported("T-SQL cursors")
        if self.take("TABLE"):
            return DeclaredVariable(name=name, type=None, table=self.table_body())
        type_ = self.data_type()
        return DeclaredVariable(name=name, type=type_, value=self.expression() if self.take("=") else None)

    def set_statement(self) -> Statement:
        line = self.token.line
        self.expect("SET")
        if self.token.kind == "var":
            name = self.variable()
            if self.token.word not in _ASSIGNMENTS:
                raise self.error()
            operator = self.advance().text
            return SetVariable(name=name, operator=operator, value=self.expression(), line=line)
        if self.take("IDENTITY_INSERT"):
            table = self.object_name()
            return SetIdentityInsert(table=table, on=self._on_off(), line=line)
        if self.take("TRANSACTION"):
            self.expect("ISOLATION", "LEVEL")
            return SetOption(name="TRANSACTION ISOLATION LEVEL", value=self._isolation(), line=line)
        names = [self.advance().text.upper()]
        if names[0] == "STATISTICS":
            names[0] += " " + self.advance().text.upper()
        while self.take(","):
            names.append(self.advance().text.upper())
        value = self._option_value()
        settings = tuple(SetOption(name=name, value=value, line=line) for name in names)
        return settings[0] if len(settings) == 1 else Block(body=settings, line=line)

    def _option_value(self) -> str:
        if self.at_any(("ON", "OFF")):
            return self.advance().word
        sign = "-" if self.take("-") else ""
        token = self.advance()
        if token.kind == "end":
            raise self.error()
        return sign + (token.text.lower() if token.kind == "var" else token.text)

    def _on_off(self) -> bool:
        on = self.take("ON")
        if not on:
            self.expect("OFF")
        return on

    def _isolation(self) -> str:
        for level in ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SNAPSHOT", "SERIALIZABLE"):
            if self.take(*level.split()):
                return level
        raise self.error()

    def return_statement(self) -> Statement:
        line = self.token.line
        self.expect("RETURN")
        starts_value = self.token.kind in ("int", "var", "dec", "str") or self.token.word in ("-", "(", "NULL")
        return Return(value=self.expression() if starts_value else None, line=line)

    def print_statement(self) -> Statement:
        line = self.token.line
        self.expect("PRINT")
        return Print(value=self.expression(), line=line)

    def raiserror(self) -> Statement:
        line = self.token.line
        self.expect("RAISERROR")
        args = self.arguments()
        if len(args) < 3:
            raise self.error()
        options: set[str] = set()
        if self.take("WITH"):
            options.add(self.advance().word)
            while self.take(","):
                options.add(self.advance().word)
        return RaiseError(
            message=args[0], severity=args[1], state=args[2], args=args[3:], options=frozenset(options), line=line
        )

    def throw(self) -> Statement:
        line = self.token.line
        self.expect("THROW")
        if self.token.kind not in ("int", "var"):
            return Throw(line=line)
        number = self.scalar()
        self.expect(",")
        message = self.scalar()
        self.expect(",")
        return Throw(number=number, message=message, state=self.scalar(), line=line)

    def waitfor(self) -> Statement:
        line = self.token.line
        self.expect("WAITFOR")
        if not self.at_any(("DELAY", "TIME")):
            raise self.unsupported("this form of WAITFOR")
        return WaitFor(kind=self.advance().word, value=self.scalar(), line=line)

    def use(self) -> Statement:
        line = self.token.line
        self.expect("USE")
        return Use(database=self.identifier(), line=line)

    def execute_statement(self) -> Execute:
        line = self.token.line
        self.advance()
        return self._execute_rest(line)

    def _execute_rest(self, line: int) -> Execute:
        if self.take("("):
            pieces: list[Node] = [self.expression()]
            self.expect(")")
            if self.take("AS"):
                raise self.unsupported("EXECUTE AS")
            return Execute(procedure=(), text=tuple(pieces), line=line)
        result = None
        if self.token.kind == "var" and self.peek().word == "=":
            result = self.variable()
            self.advance()
        if self.token.kind == "var":
            from dstream_sandbox.sqlserver.engine.syntax.nodes import Variable

            procedure: tuple[str, ...] | Node = Variable(self.variable())
        else:
            procedure = self.object_name()
        arguments: list[ProcedureArgument] = []
        if not self._at_statement_end():
            arguments.append(self._argument())
            while self.take(","):
                arguments.append(self._argument())
        if self.take("WITH", "RECOMPILE"):
            pass
        return Execute(procedure=procedure, arguments=tuple(arguments), result=result, line=line)

    def _at_statement_end(self) -> bool:
        token = self.token
        if token.kind == "end" or token.word in (";", ")", "WITH"):
            return True
        return (token.kind == "id" and token.word in _DISPATCH) or token.word in ("END", "ELSE")

    def _argument(self) -> ProcedureArgument:
        name = ""
        if self.token.kind == "var" and self.peek().word == "=":
            name = self.variable()
            self.advance()
        if self.is_identifier() and self.peek().word not in (".", "("):
            value: Node = Literal("nstr", self.advance().text)  # a bare word is a string
        else:
            value = self.scalar()
        output = self.take("OUTPUT") or self.take("OUT")
        return ProcedureArgument(name=name, value=value, output=output)

    def break_statement(self) -> Statement:
        return Break(line=self.advance().line)

    def continue_statement(self) -> Statement:
        return Continue(line=self.advance().line)


_DISPATCH = {
    "SELECT": BatchParser.select_statement,
    "WITH": BatchParser.with_statement,
    "INSERT": BatchParser.insert,
    "UPDATE": BatchParser.update,
    "DELETE": BatchParser.delete,
    "MERGE": BatchParser.merge,
    "TRUNCATE": BatchParser.truncate,
    "CREATE": BatchParser.create,
    "ALTER": BatchParser.alter,
    "DROP": BatchParser.drop,
    "BACKUP": BatchParser.backup_or_restore,
    "RESTORE": BatchParser.backup_or_restore,
    "GRANT": BatchParser.permission,
    "DENY": BatchParser.permission,
    "REVOKE": BatchParser.permission,
    "DECLARE": BatchParser.declare,
    "SET": BatchParser.set_statement,
    "IF": BatchParser.if_statement,
    "WHILE": BatchParser.while_statement,
    "BEGIN": BatchParser.begin,
    "COMMIT": BatchParser.end_transaction,
    "ROLLBACK": BatchParser.end_transaction,
    "SAVE": BatchParser.end_transaction,
    "EXEC": BatchParser.execute_statement,
    "EXECUTE": BatchParser.execute_statement,
    "PRINT": BatchParser.print_statement,
    "RAISERROR": BatchParser.raiserror,
    "THROW": BatchParser.throw,
    "RETURN": BatchParser.return_statement,
    "BREAK": BatchParser.break_statement,
    "CONTINUE": BatchParser.continue_statement,
    "WAITFOR": BatchParser.waitfor,
    "USE": BatchParser.use,
}
