"""Finds, checks and installs the Pulumi CLI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dstream.errors import ConfigError, SystemFault

ENGINE_VERSION = "3.259.0"
"""The tested version; `tools/pulumi/go.mod` specifies the same."""

OLDEST_VERSION = (3, 181, 0)
"""Older versions lack inline programs in `refresh` and `destroy` (pulumi/pulumi#19858)."""

_NAME = "pulumi.exe" if os.name == "nt" else "pulumi"
_OWN = "~/.dstream/pulumi"
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Engine:
    """A usable Pulumi CLI."""

    path: Path
    version: str
    """Without a v: `3.259.0`."""
    source: str
    """Where it was found, for display: `DSTREAM_PULUMI`, `PATH`, `~/.dstream/pulumi` or `~/.pulumi/bin`."""


def find_engine(environ: Mapping[str, str]) -> Engine:
    """Return the first CLI of: DSTREAM_PULUMI, the tested version in ~/.dstream/pulumi, PATH, other versions in
    ~/.dstream/pulumi, ~/.pulumi/bin.

    The tested version comes before PATH, because machines of CI systems have a version there that changes unannounced,
    even between a plan and its `init`. Raises ConfigError `infra.no_engine`, `infra.old_engine`.
    """
    home = home_of(environ)
    named = environ.get("DSTREAM_PULUMI", "")
    if named:
        found = _in(Path(named).expanduser())
        if found is None:
            raise ConfigError(
                "infra.no_engine",
                f"DSTREAM_PULUMI is {named}, but no pulumi executable was found there",
                hint="Set it to the pulumi executable or its folder, or unset it.",
            )
        return _checked(Engine(found, _version_of(found), "DSTREAM_PULUMI"))
    tested = _in(_own_folder(home, ENGINE_VERSION))
    if tested is not None:
        return Engine(tested, ENGINE_VERSION, _OWN)
    on_path = shutil.which(_NAME, path=environ.get("PATH", ""))
    if on_path:
        return _checked(Engine(Path(on_path), _version_of(Path(on_path)), "PATH"))
    for folder in _other_own_folders(home):
        found = _in(folder)
        if found is not None:
            return _checked(Engine(found, folder.name.removeprefix("v"), _OWN))
    found = _in(home / ".pulumi")
    if found is not None:
        return _checked(Engine(found, _version_of(found), "~/.pulumi/bin"))
    own = _own_folder(home, ENGINE_VERSION)
    raise ConfigError(
        "infra.no_engine",
        f"the Pulumi CLI was not found: DSTREAM_PULUMI is not set, and it is not on PATH, in {own.parent} "
        f"or in {home / '.pulumi' / 'bin'}",
        hint=f"Run `dstream doctor --install`. Without network access, put pulumi {ENGINE_VERSION} at "
        f"{own / 'bin' / _NAME}, or set DSTREAM_PULUMI to its path.",
    )


def install_engine(environ: Mapping[str, str], version: str = ENGINE_VERSION) -> Engine:
    """Download the CLI to ~/.dstream/pulumi and check its SHA-256, unless it is already there.

    Raises SystemFault `infra.install_failed`.
    """
    from dstream.infra.engine.download import DownloadError, download_engine

    folder = _own_folder(home_of(environ), version)
    if _in(folder) is None:
        try:
            download_engine(version, folder)
        except (DownloadError, OSError, tarfile.TarError) as error:
            raise _not_installed(folder, str(error)) from error
    return Engine(folder / "bin" / _NAME, version, _OWN)


def home_of(environ: Mapping[str, str]) -> Path:
    """Return the user's home folder, from the environment if set. Raises ConfigError `infra.no_engine`."""
    if environ.get("HOME"):
        return Path(environ["HOME"])
    try:
        return Path.home()
    except RuntimeError as error:  # a user without an entry in the system's list, as in many containers
        raise ConfigError(
            "infra.no_engine",
            "this user has no home folder, so the Pulumi CLI cannot be found there",
            hint="Set HOME to a folder that this user can write to.",
        ) from error


def _not_installed(folder: Path, reason: str) -> SystemFault:
    return SystemFault(
        "infra.install_failed",
        f"the Pulumi CLI could not be installed: {reason}",
        hint=f"Without network access, put it at {folder / 'bin' / _NAME}, or set DSTREAM_PULUMI to its path.",
    )


def _own_folder(home: Path, version: str) -> Path:
    return home / ".dstream" / "pulumi" / f"v{version}"


def _other_own_folders(home: Path) -> list[Path]:
    """Return the folders of other than the tested version, newest first."""
    tested = _own_folder(home, ENGINE_VERSION)
    others = [each for each in tested.parent.glob("v*") if _VERSION.fullmatch(each.name) and each != tested]
    return sorted(others, key=lambda each: _numbers(each.name), reverse=True)


def _in(place: Path) -> Path | None:
    """Return the executable at a path: the path itself, or inside that folder or its `bin`."""
    for candidate in (place, place / _NAME, place / "bin" / _NAME):
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    return None


def _version_of(path: Path) -> str:
    try:
        done = subprocess.run(
            [path, "version"],
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(
            "infra.no_engine",
            f"{path} is not a working Pulumi CLI: {error}",
            hint="Run `dstream doctor --install`, or set DSTREAM_PULUMI to another pulumi executable.",
        ) from error
    return done.stdout.strip().removeprefix("v")


def _checked(engine: Engine) -> Engine:
    if _VERSION.match(engine.version) and _numbers(engine.version) >= OLDEST_VERSION:
        return engine
    oldest = ".".join(map(str, OLDEST_VERSION))
    raise ConfigError(
        "infra.old_engine",
        f"{engine.path} is Pulumi {engine.version or 'of unknown version'}; DStream needs {oldest} or newer",
        hint=f"Run `dstream doctor --install` to install {ENGINE_VERSION}, or set DSTREAM_PULUMI to a newer version.",
    )


def _numbers(version: str) -> tuple[int, int, int]:
    match = _VERSION.match(version)
    if match is None:
        return (0, 0, 0)
    return int(match[1]), int(match[2]), int(match[3])
