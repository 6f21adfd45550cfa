"""docs/reference/hcl.md is accurate: its examples load, and it lists every function with the right result."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dstream.config.gotemplate import sprig
from dstream.config.values.environment import Environment, utc_now
from dstream.config.values.functions import functions

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "hcl.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```hcl\n(.*?)```", PAGE, re.DOTALL)
FUNCTIONS = re.findall(
    r"^\| `(\w+)\(.*?\)` \| .*? \| (?:`(.+?)`)? \| (?:`(.+?)`)? \|$|^\| `(\w+)\(.*\| \| \|$", PAGE, re.MULTILINE
)


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.split("\n")[0] for example in EXAMPLES])
def test_an_example_loads(example: str, load_text: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    environ = {"MSSQL_CONNECTION_STRING": "a", "ASB_CONNECTION_STRING": "b", "PASSWORD": "c"}

    load_text(example.replace("/run/secrets/token", "token"), environ=environ)


@pytest.mark.parametrize("row", [row for row in FUNCTIONS if row[1]], ids=lambda row: row[0])
def test_a_function_returns_the_documented_result(
    row: tuple[str, ...], evaluate: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "note.txt").write_text("hello")

    assert evaluate(row[1]) == evaluate(row[2])


def test_the_page_names_every_function() -> None:
    around = Environment({}, Path(), utc_now)

    assert {row[0] or row[3] for row in FUNCTIONS} == {"can", "try", *functions(around)}


def test_the_page_names_every_template_function() -> None:
    section = PAGE[PAGE.index("| group | template functions |") :].split("\n\n")[0]

    assert set(re.findall(r"`(\w+)`", section)) == set(sprig.functions({}, utc_now))


def test_the_orders_example_loads(load_text: Callable[..., Any]) -> None:
    text = (ROOT / "examples" / "orders" / "dstream.hcl").read_text(encoding="utf-8")
    names = ("MSSQL_CONNECTION_STRING", "ASB_CONNECTION_STRING", "ASB_ADMIN_CONNECTION_STRING")
    project = load_text(text, environ=dict.fromkeys(names, "x"))

    assert list(project.tasks) == ["orders"]
