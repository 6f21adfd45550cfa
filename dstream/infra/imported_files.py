"""Finds the files of a Python program: the file and the modules that it imports from its folder. Runs none of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path


def files_of(program: Path) -> list[Path]:
    """Return the program, and all modules in its folder that it imports by statement, wherever the statement is."""
    found = [program]
    for file in found:  # grows
        found += [each for each in dict.fromkeys(_imported(file, program.parent)) if each not in found]
    return found


def _imported(file: Path, folder: Path) -> Iterator[Path]:
    try:
        statements = list(ast.walk(ast.parse(file.read_bytes())))
    except (OSError, SyntaxError, ValueError):
        return  # importing it fails
    for each in statements:
        if isinstance(each, ast.Import):
            for name in each.names:
                yield from _modules(folder, name.name)
        elif isinstance(each, ast.ImportFrom) and each.level <= len(file.parents):
            start = file.parents[each.level - 1] if each.level else folder
            for name in each.names:
                yield from _modules(start, ".".join(part for part in (each.module, name.name) if part))


def _modules(folder: Path, name: str) -> Iterator[Path]:
    """Importing `a.b` runs `a/__init__.py` and `a/b.py`."""
    for part in name.split("."):
        for each in (folder / f"{part}.py", folder / part / "__init__.py"):
            if each.is_file():
                yield each
        folder = folder / part
