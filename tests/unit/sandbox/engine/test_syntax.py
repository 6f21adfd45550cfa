from __future__ import annotations

import pytest
from dstream_sandbox.sqlserver.engine.syntax import nodes
from dstream_sandbox.sqlserver.engine.syntax import statements as st
from dstream_sandbox.sqlserver.engine.syntax.batch import parse_batch, parse_expression, parse_parameters
from dstream_sandbox.sqlserver.engine.syntax.lexer import tokenize
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import SqlType


def kinds(sql: str) -> list[tuple[str, str]]:
    return [(t.kind, t.text) for t in tokenize(sql)[:-1]]


def test_quoted_tokens_are_unquoted() -> None:
    assert kinds("[a]]b] \"c\" 'it''s' N'x' 0xAF 1.5 2e3 @v @@rowcount #t") == [
        ("qid", "a]b"),
        ("qid", "c"),
        ("str", "it's"),
        ("nstr", "x"),
        ("bin", "0xAF"),
        ("dec", "1.5"),
        ("float", "2e3"),
        ("var", "@v"),
        ("var", "@@rowcount"),
        ("id", "#t"),
    ]


def test_comments_nest_and_lines_are_counted() -> None:
    tokens = tokenize("-- one\n/* a /* b */ c\n */ SELECT")
    assert (tokens[0].text, tokens[0].line) == ("SELECT", 3)


@pytest.mark.parametrize(("sql", "number"), [("'open", 105), ("[open", 105), ("/* open", 113), ("SELECT `", 102)])
def test_invalid_text_is_an_error(sql: str, number: int) -> None:
    with pytest.raises(SqlError) as raised:
        tokenize(sql)
    assert raised.value.number == number


def test_multiplication_binds_before_addition_and_and_before_or() -> None:
    node = parse_expression("1 + 2 * 3")
    assert isinstance(node, nodes.Binary)
    assert node.operator == "+"
    logical = parse_expression("a = 1 OR b = 2 AND NOT c = 3")
    assert isinstance(logical, nodes.Logical)
    assert logical.operator == "OR"


def test_a_parenthesized_subquery_in_arithmetic_is_an_expression() -> None:
    assert isinstance(parse_expression("((SELECT 1) + 2)"), nodes.Binary)
    assert isinstance(parse_expression("((SELECT 1))"), nodes.Subquery)


def test_statements_need_no_semicolons() -> None:
    body = parse_batch("DECLARE @a int = 1 SELECT @a SET @a += 1 IF @a = 2 PRINT 'x' ELSE PRINT 'y' EXEC p @a COMMIT")
    assert [type(s).__name__ for s in body] == [
        "Declare",
        "SelectStatement",
        "SetVariable",
        "If",
        "Execute",
        "Transaction",
    ]


def test_the_first_statement_can_be_a_bare_procedure_name() -> None:
    (call,) = parse_batch("sp_help 'x'")
    assert isinstance(call, st.Execute)
    assert call.procedure == ("sp_help",)


def test_a_table_definition_has_columns_and_constraints() -> None:
    (statement,) = parse_batch(
        "CREATE TABLE s.t (id int IDENTITY(5,2) NOT NULL, n nvarchar(max) DEFAULT (N'x'), c AS id + 1 PERSISTED, "
        "CONSTRAINT pk PRIMARY KEY CLUSTERED (id DESC), UNIQUE (n), CHECK (id > 0))"
    )
    assert isinstance(statement, st.CreateTable)
    identity, text, computed = statement.body.columns
    assert identity.identity == (5, 2)
    assert text.default == ("", "(N'x')")
    assert (computed.computed, computed.persisted) == ("id + 1", True)
    assert [(k.name, k.primary, k.columns) for k in statement.body.keys] == [
        ("pk", True, (("id", True),)),
        ("", False, (("n", False),)),
    ]
    assert statement.body.checks[0].expression == "(id > 0)"


def test_parameter_lists_have_types_defaults_and_directions() -> None:
    one, two = parse_parameters("@P1 decimal(10,2), @P2 nvarchar(max) OUTPUT")
    assert (one.name, one.type) == ("@p1", SqlType("decimal", None, 10, 2))
    assert two.output


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("SELECT 1 FROM", 102),
        ("SELECT * FORM t", 102),
        ("SELECT 1 WHERE", 102),
        ("INSERT t VALUES", 102),
        ("CREATE TABLE t (id nonsense)", 243),
        ("CREATE TABLE t (d decimal(40,2))", 2750),
        ("CREATE TRIGGER x", 40515),
        ("SELECT 1 GROUP BY ROLLUP (a)", 40515),
        ("END", 156),
    ],
)
def test_a_syntax_error_has_its_error_number(sql: str, number: int) -> None:
    with pytest.raises(SqlError) as raised:
        parse_batch(sql)
    assert raised.value.number == number
