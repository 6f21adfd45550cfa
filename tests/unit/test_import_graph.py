"""Imports follow the table in docs/architecture.md, and no modules import each other in a cycle."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "dstream": "dstream",
    "dstream_stacks": "stacks",
    "dstream_mssql_cdc": "providers/mssql_cdc",
    "dstream_container_apps": "providers/container_apps",
    "dstream_servicebus": "providers/servicebus",
    "dstream_sandbox": "sandbox",
}
"""Import packages and their folders, which are the rows of the table."""
FREE_OF_CYCLES = ("dstream", "dstream_stacks", "dstream_mssql_cdc", "dstream_container_apps", "dstream_servicebus")
LIGHT = ("azure", "pulumi", "pyodbc", "grpc", "rich", "click", "msgspec")
"""Packages that must not be imported before a provider's first line."""


def _table() -> dict[str, set[str]]:
    """Row -> the rows that it can import."""
    text = (ROOT / "docs/architecture.md").read_text()
    rows = re.findall(r"^\| `([\w/]+)` \|[^|]*\|([^|]*)\|$", text, re.MULTILINE)
    allowed = {row: set(re.findall(r"`([\w/*]+)`", cell)) for row, cell in rows}
    for row, names in allowed.items():
        for name in [each for each in names if each.endswith("/*")]:
            folder = name.removesuffix("*")
            names.remove(name)
            names.update(each for each in allowed if each.startswith(folder) and each != row)
    return allowed


TABLE = _table()


def _modules() -> dict[str, Path]:
    found = {}
    for package, folder in PACKAGES.items():
        base = ROOT if folder == package else ROOT / folder
        for file in (base / package).rglob("*.py"):
            parts = file.relative_to(base).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


MODULES = _modules()


def test_the_table_refers_only_to_its_own_rows() -> None:
    assert len(TABLE) > 20
    assert {name for names in TABLE.values() for name in names} - TABLE.keys() == set()


@pytest.mark.parametrize("row", TABLE)
def test_a_row_imports_only_what_the_table_allows(row: str) -> None:
    modules = [name for name in MODULES if _row_of(name) == row]
    assert modules, f"no module belongs to {row}"
    wrong = [
        f"{name} imports {imported}"
        for name in modules
        for imported in _imports(name)
        if _row_of(imported) not in {row, *TABLE[row]}
    ]
    assert wrong == []


def test_no_modules_import_each_other_in_a_cycle() -> None:
    """Imports in functions and under TYPE_CHECKING count as well."""
    graph = {name: set(_imports(name)) for name in MODULES if name.partition(".")[0] in FREE_OF_CYCLES}
    assert [" -> ".join(cycle) for cycle in _cycles(graph)] == []


@pytest.mark.parametrize("module", ["dstream.sdk", "dstream_mssql_cdc.__main__", "dstream_servicebus.__main__"])
def test_nothing_heavy_is_imported_before_a_providers_first_line(module: str) -> None:
    script = f"import sys, {module}; print(*(n for n in {LIGHT} if n in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.split() == []


@cache
def _imports(name: str) -> Sequence[str]:
    """The workspace modules that a module imports, anywhere in the file."""
    found: list[str] = []
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module in MODULES:
            for alias in node.names:  # a module, or a name in one
                inner = f"{node.module}.{alias.name}"
                found.append(inner if inner in MODULES else node.module)
    return found


@cache
def _row_of(module: str) -> str:
    package, _, rest = module.partition(".")
    path = "/".join([PACKAGES[package], *rest.split(".")]) if rest else PACKAGES[package]
    return max((row for row in TABLE if f"{path}/".startswith(f"{row}/")), key=len)


def _cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Each set of modules that reach each other (Tarjan's strongly connected components), as a list of names."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    cycles: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = lowest[name] = len(order)
        stack.append(name)
        for each in graph[name]:
            if each not in order:
                visit(each)
            if each in stack:
                lowest[name] = min(lowest[name], lowest[each])
        if lowest[name] == order[name]:
            cycle = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(cycle) > 1 or name in graph[name]:
                cycles.append(sorted(cycle))

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)
    try:
        for name in graph:
            if name not in order:
                visit(name)
    finally:
        sys.setrecursionlimit(limit)
    return cycles
