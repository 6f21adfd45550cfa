"""The language behaves as HCL does: expressions and files give what hashicorp/hcl v2 and go-cty give.

`snippets.toml` is the input, `expected.json` the recorded result (`make hcl-reference`). Deliberate differences are marked
in the input with their heading in docs/reference/hcl.md.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dstream.config.hcl.parse import parse, parse_expression
from dstream.config.hcl.problem import Problem, did_you_mean
from dstream.config.hcl.source import SourceFile
from dstream.config.hcl.syntax import Body
from dstream.config.values.environment import Environment, utc_now
from dstream.config.values.evaluate import Evaluator
from dstream.config.values.functions import functions
from dstream.config.values.values import Value, revealed

HERE = Path(__file__).parent
PAGE = (Path(__file__).parents[4] / "docs/reference/hcl.md").read_text(encoding="utf-8")
DOCUMENT = tomllib.loads((HERE / "snippets.toml").read_text(encoding="utf-8"))
RECORD = json.loads((HERE / "expected.json").read_text(encoding="utf-8"))
FAILED = "an error"


class Snippet(NamedTuple):
    group: str
    text: str
    differs: str
    """The heading of a deliberate difference in the docs; empty: none."""
    is_file: bool

    @property
    def expected(self) -> Any:
        found = RECORD["snippets"][self.group][self.text]
        return FAILED if "error" in found else found["value"]


def _snippets() -> Iterator[Snippet]:
    for group, fields in DOCUMENT.items():
        if group == "variables":
            continue
        for each in fields["snippets"]:
            text, differs = (each, "") if isinstance(each, str) else (each["text"], each["differs"])
            yield Snippet(group, text, differs, fields.get("kind") == "file")


SNIPPETS = list(_snippets())


class _Variables:
    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values

    def resolve(self, name: str, at: int) -> Value:
        if name not in self._values:
            raise Problem("config.undefined", f'unknown name "{name}"', at, did_you_mean(name, self._values))
        return self._values[name]


TABLE = functions(Environment({}, HERE, utc_now))
_GIVEN = Evaluator(_Variables({}), TABLE).evaluate(parse_expression(DOCUMENT["variables"]))
assert isinstance(_GIVEN, dict)
EVALUATOR = Evaluator(_Variables(_GIVEN), TABLE)


def _evaluated(snippet: Snippet) -> Any:
    try:
        if not snippet.is_file:
            return revealed(EVALUATOR.evaluate(parse_expression(snippet.text)))
        return _body(parse(SourceFile("snippet", snippet.text, snippet.text)))
    except Problem:
        return FAILED


def _body(body: Body) -> Any:
    """An object of the attributes; under `{}` the blocks, as lists of type, labels and body."""
    names: dict[str, Value] = {}
    for attribute in body.attributes:
        if attribute.name in names:  # what reads blocks refuses this; the parser does not
            raise Problem("config.duplicate", "set twice", attribute.at)
        names[attribute.name] = revealed(EVALUATOR.evaluate(attribute.value))
    blocks = [[block.name, *(label.text for label in block.labels), _body(block.body)] for block in body.blocks]
    return {**names, "{}": blocks} if blocks else names


def _same(found: Any, expected: Any) -> bool:
    """Compare value and type. A fraction of the reference counts as the nearest 64-bit number."""
    if isinstance(expected, float):
        return isinstance(found, (int, float)) and not isinstance(found, bool) and float(found) == expected
    if type(found) is not type(expected):
        return False
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(_same, found, expected))
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(_same(found[key], expected[key]) for key in expected)
    return bool(found == expected)


@pytest.mark.parametrize("group", [group for group in DOCUMENT if group != "variables"])
def test_the_snippets_of_a_group_give_what_the_reference_gives(group: str) -> None:
    wrong: list[str] = []
    for snippet in SNIPPETS:
        if snippet.group != group:
            continue
        found = _evaluated(snippet)
        if snippet.differs and _same(found, snippet.expected):
            wrong.append(f"{snippet.text!r} no longer differs; remove its mark {snippet.differs!r}")
        elif not snippet.differs and not _same(found, snippet.expected):
            wrong.append(f"{snippet.text!r} gives {found!r} instead of {snippet.expected!r}")

    assert wrong == []


def test_every_function_has_a_snippet() -> None:
    called = {name for snippet in SNIPPETS for name in re.findall(r"\b[a-z]\w*(?=\()", snippet.text)}

    assert TABLE.keys() - called == {"abspath", "env", "secret", "timestamp"}


def test_the_page_states_each_deliberate_difference() -> None:
    section = PAGE[PAGE.index("## Differences from HCL") :].split("\n## ")[0]

    assert set(re.findall(r"^- \*\*(.+?)\*\*", section, re.MULTILINE)) == {each.differs for each in SNIPPETS} - {""}


def test_the_record_has_a_result_for_each_snippet() -> None:
    recorded = [(group, text) for group, results in RECORD["snippets"].items() for text in results]

    assert sorted(recorded) == sorted((each.group, each.text) for each in SNIPPETS)
