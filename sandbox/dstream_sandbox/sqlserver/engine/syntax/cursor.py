"""A cursor over tokens, the basis of all parts of the parser."""

from __future__ import annotations

from dstream_sandbox.sqlserver.engine.syntax.lexer import Token, tokenize
from dstream_sandbox.sqlserver.engine.types.names import make_type
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import SqlType

_RESERVED_TEXT = """
    ADD ALL ALTER AND ANY AS ASC AUTHORIZATION BEGIN BETWEEN BREAK BROWSE BULK BY CASCADE CASE CHECK CLOSE
    CLUSTERED COALESCE COLLATE COLUMN COMMIT CONSTRAINT CONTINUE CONVERT CREATE CROSS CURRENT CURSOR DATABASE
    DEALLOCATE DECLARE DEFAULT DELETE DENY DESC DISTINCT DROP ELSE END ESCAPE EXCEPT EXEC EXECUTE EXISTS EXTERNAL
    FETCH FOR FOREIGN FROM FULL FUNCTION GOTO GRANT GROUP HAVING IDENTITY_INSERT IF IN INDEX INNER INSERT
    INTERSECT INTO IS JOIN KEY KILL LEFT LIKE MERGE NOCHECK NONCLUSTERED NOT NULL NULLIF OF OFFSETS ON OPEN OPTION
    OR ORDER OUTER OVER PERCENT PIVOT PRIMARY PRINT PROC PROCEDURE RAISERROR REFERENCES RETURN REVERT REVOKE RIGHT
    ROLLBACK SAVE SELECT SET SOME TABLE TABLESAMPLE THEN TO TOP TRAN TRANSACTION TRIGGER TRUNCATE TRY_CONVERT
    UNION UNIQUE UNPIVOT UPDATE USE USING VALUES VIEW WAITFOR WHEN WHERE WHILE WITH
"""
RESERVED = frozenset(_RESERVED_TEXT.split())


class Cursor:
    """Tokens with a position. Words are given in upper case, operators as written."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.tokens = tokenize(sql)
        self.index = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    def peek(self, ahead: int = 1) -> Token:
        return self.tokens[min(self.index + ahead, len(self.tokens) - 1)]

    def advance(self) -> Token:
        token = self.tokens[self.index]
        if token.kind != "end":
            self.index += 1
        return token

    def at(self, *words: str) -> bool:
        """Whether the next tokens are these words."""
        tokens, index = self.tokens, self.index
        for word in words:
            if index >= len(tokens) or tokens[index].word != word:
                return False
            index += 1
        return True

    def at_any(self, words: frozenset[str] | tuple[str, ...]) -> bool:
        return self.tokens[self.index].word in words

    def take(self, *words: str) -> bool:
        """Skip these words if they are next; return whether they were."""
        if not self.at(*words):
            return False
        self.index += len(words)
        return True

    def expect(self, *words: str) -> None:
        for word in words:
            if self.token.word != word:
                raise self.error()
            self.advance()

    def error(self) -> SqlError:
        token = self.token
        if token.kind == "end":
            return SqlError(102, f"Incorrect syntax near '{self.tokens[max(self.index - 1, 0)].text}'.", severity=15)
        if token.word in RESERVED:
            return SqlError(156, f"Incorrect syntax near the keyword '{token.text}'.", severity=15)
        return SqlError(102, f"Incorrect syntax near '{token.text}'.", severity=15)

    def unsupported(self, what: str) -> SqlError:
        return SqlError(40515, f"The sandbox does not support {what}.", severity=15)

    def is_identifier(self) -> bool:
        token = self.token
        return token.kind == "qid" or (token.kind == "id" and token.word not in RESERVED)

    def identifier(self) -> str:
        if not self.is_identifier():
            raise self.error()
        return self.advance().text

    def object_name(self) -> tuple[str, ...]:
        """`a`, `a.b`, `a.b.c`, `a..c` (an empty part is the default schema); a table variable keeps its @."""
        if self.token.kind == "var":
            return (self.advance().text.lower(),)
        parts = [self.identifier()]
        while self.take("."):
            parts.append("" if self.at(".") else self.name_part())
        return tuple(parts)

    def name_part(self) -> str:
        """Read a name; after a dot, any word is a name."""
        if self.token.kind not in ("id", "qid"):
            raise self.error()
        return self.advance().text

    def integer(self) -> int:
        negative = self.take("-")
        if self.token.kind not in ("int", "dec"):
            raise self.error()
        value = int(self.advance().text.split(".")[0])
        return -value if negative else value

    def variable(self) -> str:
        if self.token.kind != "var":
            raise self.error()
        return self.advance().text.lower()

    def names_in_parentheses(self) -> tuple[str, ...]:
        self.expect("(")
        names = [self.identifier()]
        while self.take(","):
            names.append(self.identifier())
        self.expect(")")
        return tuple(names)

    def data_type(self, *, in_cast: bool = False) -> SqlType:
        """Parse a declared type; `sys.` and `dbo.` prefixes are allowed."""
        name = self.advance().text
        while self.take("."):
            name = self.name_part()
        if name.lower() == "national":
            name += " " + self.advance().text
        if self.token.word == "VARYING":
            name += " " + self.advance().text
        if name.lower() == "double":
            self.take("PRECISION")
            name = "float"
        args: list[str] = []
        if self.take("("):
            args.append(self.advance().text)
            while self.take(","):
                args.append(self.advance().text)
            self.expect(")")
        return make_type(name, tuple(args), in_cast=in_cast)
