"""The values of expressions: tables of typical expressions, and properties that hold for all values."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dstream.config.hcl.parse import parse_expression
from dstream.config.hcl.problem import Problem
from dstream.config.values.evaluate import Evaluator
from dstream.config.values.functions import FUNCTIONS_OF_VALUES
from dstream.config.values.values import Value

EXPRESSIONS = [
    # literals
    ("1", 1),
    ("-1", -1),
    ("1.5", 1.5),
    ("2.0", 2),
    ("1e3", 1000),
    ("2.5e-1", 0.25),
    ("true", True),
    ('"a"', "a"),
    ("18446744073709551615", 18446744073709551615),
    # operators and their order
    ("1 + 2 * 3", 7),
    ("(1 + 2) * 3", 9),
    ("10 - 4 - 3", 3),
    ("10-23", -13),
    ("10 -2", 8),
    ("7 / 2", 3.5),
    ("6 / 2", 3),
    ("7 % 3", 1),
    ("-7 % 3", -1),
    ("0.1 + 0.2", 0.3),
    ('"5" + 1', 6),
    ("9007199254740993 * 3", 27021597764222979),
    ("1 < 2 && 2 <= 2 && 3 > 2 && 3 >= 3", True),
    ("true || nothing", True),
    ("false && nothing", False),
    ("!false", True),
    ('"a" == "a"', True),
    ('"1" == 1', False),
    ("true == 1", False),
    ("1 == 1.0", True),
    ("[1, { a = 2 }] == [1, { a = 2 }]", True),
    ("null == null", True),
    ("1 != 2", True),
    ("true || false && false", True),
    ('"true" && true', True),
    # conditionals
    ("1 == 1 ? 2 : nothing", 2),
    ("false ? nothing : true ? 3 : 4", 3),
    ("(\n  true\n  ? 1\n  : 2\n)", 1),
    # lists and objects
    ("[1, 2, 3,]", [1, 2, 3]),
    ("[\n  1, # one\n  2 // two\n  , /* three */ 3\n]", [1, 2, 3]),
    ("[]", []),
    ("{}", {}),
    (
        '{ a = 1, "b" = 2, (join("", ["c"])) = 3, 4 : 5, true = 6, for = 7, in = 8 }',
        {"a": 1, "b": 2, "c": 3, "4": 5, "true": 6, "for": 7, "in": 8},
    ),
    ("{\n  a = 1\n  b = 2 + 3\n  c = 4\n}", {"a": 1, "b": 5, "c": 4}),
    ('{ "x-${1 + 1}" = 1 }', {"x-2": 1}),
    ("{ a = null }", {"a": None}),
    # access
    ("[1, 2][1]", 2),
    ("[1, 2].1", 2),
    ('[1, 2]["1"]', 2),
    ("{ a = { b = [5] } }.a.b[0]", 5),
    ('{ a = 1 }["a"]', 1),
    ("[[1, 2], [3]][0][1]", 2),
    # splat
    ("[{ a = 1 }, { a = 2 }][*].a", [1, 2]),
    ("[{ a = 1 }, { a = 2 }].*.a", [1, 2]),
    ("[{ a = [1, 2] }, { a = [3] }][*].a[0]", [1, 3]),
    ("[{ a = [1, 2] }, { a = [3] }].*.a[0]", [1, 2]),
    ("{ a = 1 }[*].a", [1]),
    ("null[*]", []),
    # for
    ("[for x in [1, 2, 3] : x * 2 if x != 2]", [2, 6]),
    ("[for i, x in [5, 6] : i + x]", [5, 7]),
    ('[for k, v in { b = 1, a = 2 } : "${k}${v}"]', ["a2", "b1"]),
    ('{ for x in ["a", "b"] : x => upper(x) }', {"a": "A", "b": "B"}),
    ('{ for x in ["ab", "cd", "ae"] : replace(x, "/.$/", "") => x... }', {"a": ["ab", "ae"], "c": ["cd"]}),
    ("[for x in [[1, 2], [3]] : [for y in x : y + length(x)]]", [[3, 4], [4]]),
    ("{\n  for x in [1] :\n  x => x\n}", {"1": 1}),
    # strings
    ('"a${1 + 1}b"', "a2b"),
    ('"${[1]}"', [1]),
    ('"${true}"', True),
    ('"x${true}"', "xtrue"),
    ('"x${1.5}"', "x1.5"),
    ('"${"a${"b"}"}c"', "abc"),
    ('"${ { a = "}" }.a}"', "}"),
    ('"a\\tb\\n\\"c\\" \\\\ \\u00e9 \\U0001F600"', 'a\tb\n"c" \\ é 😀'),
    ('"$${a} %%{b} $ % $$ $a"', "${a} %{b} $ % $$ $a"),
    ('"# no comment // nor here /* nor */"', "# no comment // nor here /* nor */"),
    ('"{ [ ("', "{ [ ("),
    ('"a ${~ 1 ~} b"', "a1b"),
    ('"%{ if 1 == 1 }yes%{ else }no%{ endif }"', "yes"),
    ('"%{ if false }yes%{ endif }"', ""),
    ('"%{ for x in [1, 2] }<${x}>%{ endfor }"', "<1><2>"),
    ('"%{ for i, x in ["a"] }${i}${x}%{ endfor }"', "0a"),
    ('"%{ for x in [1, 2] }%{ if x == 1 }one%{ else }${x}%{ endif },%{ endfor }"', "one,2,"),
    # heredocs
    ("<<EOT\na\n b\nEOT\n", "a\n b\n"),
    ("<<-EOT\n    a\n      b\n\n    c\n  EOT\n", "a\n  b\n\nc\n"),
    ("<<EOT\nEOT\n", ""),
    ('<<EOT\n"${1 + 1}" \\n $${x}\nEOT\n', '"2" \\n ${x}\n'),
    ("<<-EOT\n  %{ for x in [1, 2] ~}\n  - ${x}\n  %{ endfor ~}\n  EOT\n", "  - 1\n  - 2\n"),
    ("[<<EOT\na\nEOT\n, 2]", ["a\n", 2]),
]


@pytest.mark.parametrize(("expression", "value"), EXPRESSIONS, ids=[text for text, _ in EXPRESSIONS])
def test_an_expression_evaluates_to(expression: str, value: Any, evaluate: Callable[..., Any]) -> None:
    result = evaluate(expression)

    assert result == value
    assert json.dumps(result) == json.dumps(value)  # 1 is neither 1.0 nor true


FUNCTIONS = [
    ('abspath("a/../b")', "FOLDER/b"),
    ('abspath("/a/./b")', "/a/b"),
    ('base64decode("aMOp")', "hé"),
    ('base64encode("hé")', "aMOp"),
    ('coalesce(null, "", "a", "b")', "a"),
    ("coalesce([null, 2]...)", 2),
    ("concat([1], [], [2, 3])", [1, 2, 3]),
    ('env("SET")', "value"),
    ('env("EMPTY")', ""),
    ('env("NO_SUCH", "other")', "other"),
    ('env("NO_SUCH", null) == null', True),
    ('file("note.txt")', "hello\n"),
    ('file(abspath("note.txt"))', "hello\n"),
    ('fileexists("note.txt")', True),
    ('fileexists("no.txt")', False),
    ('fileexists(".")', False),
    ('format("%s-%d-%03d-%.2f-%v-%t-%q-%%", "a", 1, 2, 1.5, [1], true, "q")', 'a-1-002-1.50-[1]-true-"q"-%'),
    ('format("%5s|%-5s|%x|%b", "a", "b", 255, 5)', "    a|b    |ff|101"),
    ('join("-", ["a", 1], ["b"])', "a-1-b"),
    ('jsondecode("{\\"a\\": [1, 1.0, 2.5, null, true]}")', {"a": [1, 1, 2.5, None, True]}),
    (
        r'yamldecode("a: [1, 0x1f, 0o17, 012, 1.5, 1e3, true, ~, no, 2024-01-31, 12:30, \"5\"]")',
        {"a": [1, 31, 15, 12, 1.5, 1000, True, None, "no", "2024-01-31", "12:30", "5"]},
    ),
    (
        r'yamldecode("b: &b {x: 1, y: 2}\nc: {<<: *b, y: 3}\n1: |\n  text\n")',
        {"b": {"x": 1, "y": 2}, "c": {"x": 1, "y": 3}, "1": "text\n"},
    ),
    (r'yamldecode("c: {<<: [{x: 1}, {x: 2, y: !!str 2}]}")', {"c": {"x": 1, "y": "2"}}),
    ('yamldecode("")', None),
    ('jsonencode({ b = [1, 2.5, null], a = "é" })', '{"a":"é","b":[1,2.5,null]}'),
    ("keys({ b = 1, a = 2 })", ["a", "b"]),
    ('length("héé")', 3),
    ("length([1, 2])", 2),
    ("length({ a = 1 })", 1),
    ('lookup({ a = 1 }, "a")', 1),
    ('lookup({ a = 1 }, "b", 2)', 2),
    ('lower("AÉ")', "aé"),
    ("max(1, 3.5, 2)", 3.5),
    ("max([1, 2]...)", 2),
    ("merge({ a = 1, b = 1 }, { b = 2 })", {"a": 1, "b": 2}),
    ("min(1, 3, -2)", -2),
    ("range(3)", [0, 1, 2]),
    ("range(1, 4)", [1, 2, 3]),
    ("range(4, 1)", [4, 3, 2]),
    ("range(0, 1, 0.5)", [0, 0.5]),
    ("range(0)", []),
    ('replace("a.b.c", ".", "-")', "a-b-c"),
    ('replace("a1b22", "/[0-9]+/", "#")', "a#b#"),
    ('replace("ab", "/(a)(b)/", "$2$1")', "ba"),
    ('replace("/a/b", "/", "-")', "-a-b"),
    ('secret("env:SET")', "value"),
    ('secret("file:note.txt")', "hello"),
    ('split(",", "a,b,")', ["a", "b", ""]),
    ('split(",", "")', [""]),
    ('split("", "ab")', ["a", "b"]),
    ("timestamp()", "2026-03-04T15:06:07Z"),
    ('tobool("true")', True),
    ('tonumber("1.50")', 1.5),
    ("tostring(1.5)", "1.5"),
    ('toset(["b", "a", "b"])', ["a", "b"]),
    ('trim("xxaxbxx", "x")', "axb"),
    ('try(nothing.a, env("NO_SUCH"), "c")', "c"),
    ('try("a", nothing)', "a"),
    ('upper("aé")', "AÉ"),
    ("values({ b = 1, a = 2 })", [2, 1]),
]


@pytest.mark.parametrize(("expression", "value"), FUNCTIONS, ids=[text for text, _ in FUNCTIONS])
def test_a_function_returns(expression: str, value: Any, evaluate: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("hello\n")

    result = evaluate(expression, environ={"SET": "value", "EMPTY": ""})

    assert result == (value.replace("FOLDER", str(tmp_path)) if isinstance(value, str) else value)
    assert type(result) is type(value)


def test_every_function_that_reads_the_environment_is_tested() -> None:
    """The others have snippets in the comparison with the reference."""
    tested = {text.split("(")[0] for text, _ in FUNCTIONS}

    assert {"abspath", "env", "file", "fileexists", "secret", "timestamp"} <= tested


class NoNames:
    def resolve(self, name: str, at: int) -> Value:
        raise Problem("config.undefined", name, at)


def value_of(text: str) -> Value:
    return Evaluator(NoNames(), FUNCTIONS_OF_VALUES).evaluate(parse_expression(text))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def hcl_text(text: str) -> str:
    return json.dumps(text).replace("${", "$${").replace("%{", "%%{")


def _hcl_character(sign: str) -> str:
    if sign in '"\\':
        return "\\" + sign
    return f"\\u{ord(sign):04x}" if sign < " " or sign == "\x7f" else sign


def hcl(value: Any) -> str:
    """A JSON value written in HCL."""
    if isinstance(value, str):
        return '"' + "".join(map(_hcl_character, value)).replace("${", "$${").replace("%{", "%%{") + '"'
    if isinstance(value, list):
        return "[" + ", ".join(hcl(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{hcl(key)} = {hcl(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)


@settings(max_examples=60, deadline=None)
@given(JSON)
def test_a_value_survives_a_round_trip_through_hcl(value: Any) -> None:
    assert value_of(hcl(value)) == value


@settings(max_examples=60, deadline=None)
@given(JSON)
def test_jsondecode_undoes_jsonencode(value: Any) -> None:
    assert value_of(f"jsondecode(jsonencode({hcl(value)}))") == value


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["+", "-", "*"]), st.integers(-50, 50)), max_size=6), st.integers(-50, 50))
def test_arithmetic_agrees_with_python(steps: list[tuple[str, int]], first: int) -> None:
    text = str(first) + "".join(f" {operator} {number}" for operator, number in steps)

    assert value_of(text) == eval(text)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet='ab1 "${}%[](),.:=?!+-*/\\\n~<#', max_size=25))
def test_the_reader_raises_only_problems_with_a_position_in_the_text(text: str) -> None:
    try:
        value_of(text)
        at = 0
    except Problem as problem:
        at = problem.at
    assert 0 <= at <= len(text)


def test_the_other_result_of_a_conditional_asks_no_key_vault_and_its_errors_do_not_count(
    load_text: Callable[..., Any],
) -> None:
    """Only its type counts. A vault would raise: the client libraries have no identity here."""
    project = load_text(
        """
        locals {
          vault = secret("azurekeyvault://retail/bus-key")
          a     = true ? 5 : local.b
          b     = local.a + 1
          c     = false ? local.d : 7
          d     = env("NO_SUCH", local.vault)
        }
        task "t" {
          input {
            provider = "p"
            config {
              values = [local.b, local.a, local.c, true ? 1 : local.vault]
            }
          }
          output {
            provider = "q"
          }
        }
        """,
        only=["t"],
        roles=("input",),
    )
    assert project.tasks["t"].input.config == {"values": [6, 5, 7, 1]}


SECRETS = [
    ('sensitive("canary")', "canary"),
    ('{ user = "joe", password = sensitive("canary") }', "canary"),
    ("sensitive(73551)", "73551"),
    ("sensitive([73551])", "73551"),
    ('base64encode(sensitive("canary"))', "Y2FuYXJ5"),
    ('templatefile("letter.tmpl", { name = sensitive("canary") })', "Dear canary"),
    ('nonsensitive("x${sensitive("canary")}") == "" ? "" : sensitive("canary")', "canary"),
]


@pytest.mark.parametrize(("expression", "secret"), SECRETS, ids=[text for text, _ in SECRETS])
def test_a_sensitive_value_is_secret(
    expression: str, secret: str, load_text: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "letter.tmpl").write_text("Dear ${name}")

    assert secret in _secrets_of(expression, load_text)


def test_nonsensitive_makes_a_value_visible(load_text: Callable[..., Any]) -> None:
    assert _secrets_of('nonsensitive(sensitive("canary"))', load_text) == frozenset()


def _secrets_of(expression: str, load_text: Callable[..., Any]) -> frozenset[str]:
    config = f"config {{\n value = {expression}\n }}"
    text = f'task "t" {{\n input {{\n provider = "p"\n {config}\n }}\n output {{\n provider = "q"\n }}\n }}'
    secrets: frozenset[str] = load_text(text).tasks["t"].input.secrets
    return secrets
