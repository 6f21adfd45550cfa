"""Creates the project of a new provider: a minimal one that passes the kit."""

from __future__ import annotations

import re
import shutil
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Literal

from dstream.errors import ConfigError, of_os_error

Kind = Literal["input", "transform", "output", "infrastructure"]
""""infrastructure": an output with infrastructure."""

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*")
_FILES = {
    # template: target
    "pyproject.toml.template": "pyproject.toml",
    "README.md.template": "README.md",
    "{kind}.py.template": "dstream_{module}.py",
    "{kind}.hcl.template": "dstream.hcl",
    "test_{kind}.py.template": "tests/test_{module}.py",
}
_COMMANDS = (
    ("dstream provider test dstream_{module}.py", "check it against the protocol"),
    ("dstream provider show dstream_{module}.py", "show its settings"),
)
_LIFECYCLE = (
    ("dstream plan {module}", "preview the changes"),
    ("dstream init {module}", "create the resources; status shows drift, destroy deletes them"),
)
_LAST_COMMANDS = (("dstream run {module}", "run the task in dstream.hcl"), ("pytest", "run its tests"))


def scaffold(parent: Path, name: str, kind: Kind) -> Path:
    """Create the project folder `parent/name`, or nothing.

    Raises ConfigError for an invalid name or an existing folder, SystemFault `system.failed`.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            "provider.bad_name",
            f'invalid provider name "{name}"',
            hint="Use lower-case letters and digits, with words joined by _ or -, e.g. tide_tables.",
        )
    folder = parent / name
    module = name.replace("-", "_")
    values = {
        "name": module,
        "distribution": f"dstream-{name.replace('_', '-')}",
        "class_name": "".join(word.capitalize() for word in module.split("_")),
        "role": "output" if kind == "infrastructure" else kind,
        "commands": _commands(module, kind),
    }
    if folder.exists():
        raise ConfigError(
            "provider.exists", f"{folder} already exists", hint="Nothing was changed. Choose a different name."
        )
    try:
        (folder / "tests").mkdir(parents=True)
        for template, target in _FILES.items():
            text = (files("dstream.kit") / "templates" / template.format(kind=kind)).read_text(encoding="utf-8")
            file = folder / target.format(module=module)
            file.write_text(Template(text).substitute(values), encoding="utf-8")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise of_os_error(error, f"cannot create {folder}") from error
    return folder


def _commands(module: str, kind: Kind) -> str:
    """The commands listed in the README."""
    listed = (*_COMMANDS, *(_LIFECYCLE if kind == "infrastructure" else ()), *_LAST_COMMANDS)
    lines = [(command.format(module=module), meaning) for command, meaning in listed]
    width = max(len(command) for command, _ in lines)
    return "".join(f"    {command:<{width}}   # {meaning}\n" for command, meaning in lines)
