"""Lists the providers that `provider = "NAME"` can refer to on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from dstream.plugins._resolve import _PREFIX, BUILT_IN, _folders, module_command

_NO_PROVIDERS = frozenset({"sandbox"})
"""Executables of DStream's own packages whose names look like a provider's."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A provider by its name in HCL files, with the command that `resolve` returns."""

    name: str
    argv: tuple[str, ...]
    where: str
    """For display: the executable, or that the provider is built in."""


def installed(environ: Mapping[str, str]) -> list[Installed]:
    """Return the providers, sorted by name; of two with the same name, the one that `resolve` chooses."""
    found = {name: Installed(name, tuple(module_command(module)), "built in") for name, module in BUILT_IN.items()}
    for folder in _folders(environ):
        for file in sorted(folder.glob(_PREFIX + "*")) if folder.is_dir() else ():
            name = file.name.removeprefix(_PREFIX).replace("-", "_")
            if name not in found and name not in _NO_PROVIDERS and file.is_file() and os.access(file, os.X_OK):
                found[name] = Installed(name, (str(file),), str(file))
    return [found[name] for name in sorted(found)]
