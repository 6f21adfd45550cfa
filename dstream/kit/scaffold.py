"""A new provider's project: the smallest that passes the kit, to be changed from there."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Literal

from dstream.errors import ConfigError

Kind = Literal["input", "output", "infrastructure"]
"""The last one is an output, too."""

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*")
_FILES = {
    # template: where it goes
    "pyproject.toml.template": "pyproject.toml",
    "README.md.template": "README.md",
    "{kind}.py.template": "dstream_{module}.py",
    "{kind}.hcl.template": "dstream.hcl",
    "test_{kind}.py.template": "tests/test_{module}.py",
}
_COMMANDS = (
    ("dstream provider test dstream_{module}.py", "does it keep to the protocol?"),
    ("dstream provider show dstream_{module}.py", "its settings"),
)
_LIFECYCLE = (
    ("dstream plan {module}", "what init would make"),
    ("dstream init {module}", "make it; status compares it, destroy deletes it"),
)
_LAST_COMMANDS = (("dstream run {module}", "the task in dstream.hcl"), ("pytest", "its tests"))


def scaffold(parent: Path, name: str, kind: Kind) -> Path:
    """The project's folder, `parent/name`. Raises ConfigError for a bad name, or when something is there already."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            "provider.bad_name",
            f"\"{name}\" can't be a provider's name",
            hint="Lower-case letters and digits, words joined by _ or -, such as tide_tables.",
        )
    folder = parent / name
    module = name.replace("-", "_")
    values = {
        "name": module,
        "distribution": f"dstream-{name.replace('_', '-')}",
        "class_name": "".join(word.capitalize() for word in module.split("_")),
        "role": "input" if kind == "input" else "output",
        "commands": _commands(module, kind),
    }
    if folder.exists():
        raise ConfigError("provider.exists", f"{folder} exists already", hint="Nothing was changed. Take another name.")
    (folder / "tests").mkdir(parents=True)
    for template, target in _FILES.items():
        text = (files("dstream.kit") / "templates" / template.format(kind=kind)).read_text()
        (folder / target.format(module=module)).write_text(Template(text).substitute(values))
    return folder


def _commands(module: str, kind: Kind) -> str:
    """The lines of the README."""
    listed = (*_COMMANDS, *(_LIFECYCLE if kind == "infrastructure" else ()), *_LAST_COMMANDS)
    lines = [(command.format(module=module), meaning) for command, meaning in listed]
    width = max(len(command) for command, _ in lines)
    return "".join(f"    {command:<{width}}   # {meaning}\n" for command, meaning in lines)
