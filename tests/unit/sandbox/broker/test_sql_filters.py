"""The SQL filter language."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from dstream_sandbox.servicebus.amqp.values import Int, Timestamp, UByte
from dstream_sandbox.servicebus.filters.errors import FilterError, FilterSyntaxError
from dstream_sandbox.servicebus.filters.parser import parse_action, parse_predicate
from dstream_sandbox.servicebus.filters.properties import MessageProperties

from tests.unit.sandbox.broker.world import message

USER = {
    "a": 1,
    "b": Int(2),
    "c": UByte(3),
    "half": 0.5,
    "name": "O'Neil",
    "yes": True,
    "null": None,
    "with space": 7,
    "at": Timestamp(1_700_000_000_000),
    "id": UUID(int=5),
    "raw": b"\x00",
}


def _evaluate(expression: str, **parameters: object) -> object:
    properties = MessageProperties(message("the-id", session="sess", label="lab", properties=USER))
    return parse_predicate(expression, parameters)(properties)


@pytest.mark.parametrize(
    "expression",
    [
        "a = 1",
        "a = 1.0 AND b = 2 AND c = 3",
        "user.a <> 2 and a != 3",
        "b > a AND a < b AND b >= 2 AND b <= 2",
        "NOT a = 2",
        "NOT (a = 2 OR b = 3)",
        "a = 2 OR b = 2 AND c = 3",
        "name = 'O''Neil'",
        "name = N'O''Neil'",
        "[with space] = 7",
        '"with space" = 7',
        "sys.Label = 'lab' AND sys.label = 'lab' AND sys.MessageId = 'the-id' AND sys.SessionId = 'sess'",
        "sys.To IS NULL AND sys.Label IS NOT NULL",
        "missing IS NULL AND [null] IS NULL AND a IS NOT NULL",
        "EXISTS(a) AND EXISTS([null]) AND NOT EXISTS(missing) AND EXISTS(sys.Label) AND NOT EXISTS(sys.To)",
        "a IN (3, 2, 1)",
        "a NOT IN (2, 3)",
        "name IN ('x', 'O''Neil')",
        "name LIKE 'O%' AND name LIKE '%ei_' AND name NOT LIKE 'o%'",
        "'50%' LIKE '50!%' ESCAPE '!' AND NOT '50x' LIKE '50!%' ESCAPE '!'",
        "'a.c' LIKE 'a.c' AND NOT 'abc' LIKE 'a.c'",
        "a + b * c = 7 AND (a + b) * c = 9",
        "7 / 2 = 3 AND -7 / 2 = -3 AND 7 % 4 = 3 AND -7 % 4 = -3",
        "7 / 2.0 = 3.5 AND half * 2 = 1",
        "- a = -1 AND + a = 1 AND 2 - -1 = 3",
        "1.5E1 = 15 AND 1e2 = 100 AND .5 = half",
        "yes = TRUE AND yes",
        "TRUE",
        "property('with space') = 7",
        "p('a') = 1",
        "newid() <> newid()",
        "id = '00000000-0000-0000-0000-000000000005'",
        "missing = 1 OR a = 1",
    ],
)
def test_an_expression_is_true(expression: str) -> None:
    assert _evaluate(expression) is True


@pytest.mark.parametrize(
    "expression", ["a = 2", "a > b", "FALSE", "missing = 1 AND a = 2", "a NOT IN (1)", "yes <> TRUE"]
)
def test_an_expression_is_false(expression: str) -> None:
    assert _evaluate(expression) is False


@pytest.mark.parametrize(
    "expression",
    [
        "missing = 1",
        "NOT missing = 1",
        "missing <> missing",
        "missing = 1 AND a = 1",
        "missing = 1 OR a = 2",
        "a = 1 AND missing = 1",
        "a = 2 OR missing = 1",
        "missing LIKE 'a%'",
        "missing IN (1, 2)",
        "a IN (2, missing)",
        "a NOT IN (2, missing)",
        "missing + 1 > 0",
        "name = 1",
        "a = '1'",
        "yes > FALSE",
        "raw = 'x'",
        "[null] = NULL",
    ],
)
def test_an_expression_is_unknown(expression: str) -> None:
    assert _evaluate(expression) is None


@pytest.mark.parametrize(
    "expression", ["name + 1 > 2", "-name = 1", "1 / 0 = 1", "a % 0 = 1", "a LIKE '1'", "name AND a = 1"]
)
def test_an_expression_that_cannot_be_evaluated_is_an_error(expression: str) -> None:
    with pytest.raises(FilterError):
        _evaluate(expression)


@pytest.mark.parametrize(
    "expression",
    ["", "a =", "= 1", "a = 1 b", "a + 1", "'text'", "1 AND 2", "sys.Nothing = 1", "other.a = 1", "a = 'open",
     "a IN ()", "a IN (1", "a IS 1", "EXISTS(1)", "unknown(1) = 1", "a = @none", "a NOT 1", "a = 1;", "#a = 1",
     "AND = 1", "1 IS NULL", "a = '" + "x" * 1024 + "'"],
)  # fmt: skip
def test_an_invalid_expression_is_refused(expression: str) -> None:
    with pytest.raises(FilterSyntaxError):
        _evaluate(expression)


def test_parameters_are_replaced_by_values() -> None:
    assert _evaluate("a = @one AND name = @name", **{"@one": 1, "name": "O'Neil"}) is True
    assert _evaluate("at < @later", later=datetime(2030, 1, 1, tzinfo=UTC)) is True


def test_actions_are_parsed() -> None:
    statements = parse_action("SET a = 1; REMOVE user.b ; SET sys.Label = 'x';", {})
    assert len(statements) == 3
    for wrong in ("", "a = 1", "SET a", "REMOVE", "SET a = 1 SET b = 2", "SET sys.Nothing = 1"):
        with pytest.raises(FilterSyntaxError):
            parse_action(wrong, {})
