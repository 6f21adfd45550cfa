"""Collects every error code that the source raises, with its kind and message, from the syntax tree."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

CLASSES = {
    "ConfigError": "config",
    "NoInfrastructure": "config",
    "Problem": "config",
    "AuthError": "auth",
    "UnreachableError": "unreachable",
    "LockedError": "locked",
    "RefusedError": "refused",
    "TransientError": "transient",
    "ReadInterrupted": "transient",
    "DataError": "data",
    "SystemFault": "system",
    "Unreadable": "system",
}
"""Classes whose first argument is a code, and their kind."""

_CODE = re.compile(r"[a-z_]+\.[a-z_]+")


@cache
def raised(root: Path) -> Mapping[str, Sequence[tuple[str, str]]]:
    """Code -> the kind and message of each place that raises it; placeholders in a message become `..`."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for folder in ("dstream", "providers", "stacks"):
        for file in (root / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and node.args and _name(node.func) in CLASSES:
                    for code in _constants(node.args[0]):
                        found[code].append((CLASSES[_name(node.func)], _words(node.args[1:2])))
                elif isinstance(node, ast.Constant) and _is_of_the_language(node.value) and "config" in file.parts:
                    found[node.value].append(("config", ""))
    return found


def _is_of_the_language(value: object) -> bool:
    """Whether it is a code of the HCL reader, which passes its codes through its own functions."""
    return isinstance(value, str) and value.startswith("config.") and bool(_CODE.fullmatch(value))


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _constants(argument: ast.expr) -> list[str]:
    """A literal code, or both codes of a conditional expression."""
    if isinstance(argument, ast.IfExp):
        return _constants(argument.body) + _constants(argument.orelse)
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str) and _CODE.fullmatch(argument.value):
        return [argument.value]
    return []


def _words(arguments: list[ast.expr]) -> str:
    if not arguments:
        return ""
    message = arguments[0]
    if isinstance(message, ast.Constant) and isinstance(message.value, str):
        return message.value
    if isinstance(message, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else ".." for part in message.values)
    return ""
