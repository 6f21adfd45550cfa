"""A new provider's project: the smallest that passes the kit, to be changed from there."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from string import Template

from dstream.errors import ConfigError
from dstream.protocol.messages import Role

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*")
_FILES = {
    # template: where it goes
    "pyproject.toml.template": "pyproject.toml",
    "README.md.template": "README.md",
    "{role}.py.template": "dstream_{module}.py",
    "{role}.hcl.template": "dstream.hcl",
    "test_{role}.py.template": "tests/test_{module}.py",
}


def scaffold(parent: Path, name: str, role: Role) -> Path:
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
        "role": role,
    }
    if folder.exists():
        raise ConfigError("provider.exists", f"{folder} exists already", hint="Nothing was changed. Take another name.")
    (folder / "tests").mkdir(parents=True)
    for template, target in _FILES.items():
        text = (files("dstream.kit") / "templates" / template.format(role=role)).read_text()
        (folder / target.format(module=module)).write_text(Template(text).substitute(values))
    return folder
