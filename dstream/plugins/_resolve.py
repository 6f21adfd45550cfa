"""Finds the executable of a provider or provider_path, or explains why there is none."""

from __future__ import annotations

import difflib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from dstream.errors import ConfigError, SourceLocation

BUILT_IN: Mapping[str, str] = {
    "console": "dstream.sdk.examples.console",
    "counter": "dstream.sdk.examples.counter",
    "test_infrastructure": "dstream.sdk.examples.test_infrastructure",
}
"""Providers built into DStream: name -> module."""

_PREFIX = "dstream-"


def resolve(
    provider: str | None,
    provider_path: str | None,
    base_dir: Path,
    environ: Mapping[str, str],
    *,
    place: SourceLocation | None = None,
) -> list[str]:
    """Return the command to execute.

    Raises ConfigError `provider.missing`, `provider.not_found`, `provider.not_executable`.
    """
    if provider_path is not None:
        return _from_path(base_dir / Path(provider_path).expanduser(), provider_path, place)
    if provider:
        return _from_name(provider, environ, place)
    raise ConfigError("provider.missing", "no provider specified", place=place, hint='Add provider = "NAME".')


def module_command(module: str) -> list[str]:
    """Return the command that runs a module of an installed package.

    A provider runs in the folder of the HCL file. `-P` keeps Python from importing from there: a `json.py` in a
    checkout does not run (https://docs.python.org/3/using/cmdline.html#cmdoption-P).
    """
    return [sys.executable, "-P", "-m", module]


def _from_name(name: str, environ: Mapping[str, str], place: SourceLocation | None) -> list[str]:
    if name in BUILT_IN:
        return module_command(BUILT_IN[name])
    executable = _PREFIX + name.replace("_", "-")
    folders = list(_folders(environ))
    for folder in folders if os.sep not in name else ():
        candidate = folder / executable
        if candidate.is_file():
            return [_executable(candidate, place)]
    raise ConfigError(
        "provider.not_found", f'provider "{name}" is not installed', place=place, hint=_suggestion(name, folders)
    )


def _folders(environ: Mapping[str, str]) -> Iterator[Path]:
    yield Path(sys.executable).parent
    yield from (Path(folder) for folder in environ.get("DSTREAM_PROVIDERS", "").split(os.pathsep) if folder)
    home = environ.get("HOME")
    if home:
        yield Path(home) / ".dstream" / "providers"
    yield from (Path(folder) for folder in environ.get("PATH", "").split(os.pathsep) if folder)


def _from_path(path: Path, as_written: str, place: SourceLocation | None) -> list[str]:
    if path.is_dir():
        if not (path / "__main__.py").is_file():
            raise ConfigError(
                "provider.not_executable",
                f'provider_path "{as_written}" is a folder without __main__.py',
                place=place,
                hint="Set it to an executable, a .py file, or a folder with __main__.py.",
            )
        return [sys.executable, str(path)]
    if not path.exists():
        raise ConfigError(
            "provider.not_found",
            f'provider_path "{as_written}" does not exist',
            place=place,
            hint=f"Looked for {path}. Relative paths start at the folder of the HCL file.",
        )
    if path.suffix == ".py":
        return [sys.executable, str(path)]
    return [_executable(path, place)]


def _executable(path: Path, place: SourceLocation | None) -> str:
    if not os.access(path, os.X_OK):
        raise ConfigError(
            "provider.not_executable", f"{path} is not executable", place=place, hint=f"Run: chmod +x {path}"
        )
    return str(path)


def _suggestion(name: str, folders: list[Path]) -> str:
    installed = {
        file.name.removeprefix(_PREFIX).replace("-", "_")
        for folder in folders
        if folder.is_dir()
        for file in folder.glob(_PREFIX + "*")
    }
    close = difflib.get_close_matches(name, sorted(installed | set(BUILT_IN)), n=1)
    if close:
        return f'Did you mean "{close[0]}"?'
    found = shutil.which(name)
    if found:
        return f'To use your own executable, set provider_path = "{found}".'
    return (
        f"Looked for {_PREFIX}{name.replace('_', '-')} next to the running Python, in $DSTREAM_PROVIDERS, "
        "~/.dstream/providers and PATH. Install it, or set provider_path."
    )
