"""Public names are deliberate: exports exist and are sorted, and class names are unique."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "dstream.config",
    "dstream.host",
    "dstream.kit",
    "dstream.plugins",
    "dstream.sdk",
    "dstream.sdk.errors",
    "dstream.state",
)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_exported_name_exists_and_the_list_is_sorted(package: str) -> None:
    module = import_module(package)
    assert module.__all__ == sorted(module.__all__)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


TWINS = {"Checkpoint", "Config", "Difference", "Resource", "Status", "Stop"}
"""Names shared by a wire message in `dstream.protocol` and a class in `dstream.sdk`, and `Config`, which each provider
has."""


def test_public_class_names_are_unique() -> None:
    """One word, one meaning, across everything that ships together. The sandbox is a separate program."""
    places: dict[str, list[str]] = {}
    for folder in ("dstream", "providers", "stacks"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.parse(file.read_text()).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places.setdefault(node.name, []).append(str(file.relative_to(ROOT)))
    assert {name: found for name, found in places.items() if len(found) > 1 and name not in TWINS} == {}
