"""Reads and writes `dstream.lock.hcl`: which binaries the references of a folder stand for.

    provider "ghcr.io/org/tides:v1" {
      manifest = "sha256:.."
      platforms = {
        linux_amd64 = "sha256:.."
      }
    }

`manifest` identifies the artifact in the registry, `platforms` the binary of each platform: what `sha256sum` prints.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dstream.config.hcl.parse import parse
from dstream.config.hcl.problem import Problem
from dstream.config.hcl.source import SourceFile
from dstream.config.hcl.syntax import Block, Body, Expression, Literal, Name, ObjectOf
from dstream.errors import ConfigError, SourceLocation, of_os_error
from dstream.private_files import make_private_folder, replace_private

_HEAD = "# Written by `dstream provider lock` and `install`. Commit it: only the providers listed here are installed.\n"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PLATFORM = re.compile(r"[a-z0-9]+_[a-z0-9]+")
_MOST_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Pin:
    """What a reference stands for: the digests of the manifest and of each platform's binary."""

    manifest: str
    platforms: Mapping[str, str]


def read_lock(path: Path) -> dict[str, Pin] | None:
    """Return the pins by reference; None if there is no file. Raises ConfigError `lock.invalid`; SystemFault."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise of_os_error(error, f"cannot read {path}") from error
    try:
        text = content.decode("utf-8-sig")
        source = SourceFile(str(path), text, text)
        if len(content) > _MOST_BYTES:
            raise Problem("lock.invalid", f"it is longer than {_MOST_BYTES:,} bytes", 0)
        return dict(_pin(block) for block in _blocks(parse(source)))
    except UnicodeDecodeError:
        raise _invalid("it is not valid UTF-8", SourceLocation(str(path))) from None
    except RecursionError:
        raise _invalid("nested too deeply", SourceLocation(str(path))) from None
    except Problem as problem:
        raise _invalid(problem.message, source.place(problem.at)) from None


def write_lock(path: Path, pins: Mapping[str, Pin], *, is_private: bool = False) -> None:
    """Replace the file in one step. `is_private`: only this user can read it. Raises SystemFault."""
    blocks = [f'\nprovider "{reference}" {{\n{_body(pins[reference])}}}\n' for reference in sorted(pins)]
    try:
        if is_private:
            make_private_folder(path.parent)
        replace_private(path, "".join([_HEAD, *blocks]).encode(), 0o600 if is_private else 0o644)
    except OSError as error:
        raise of_os_error(error, f"cannot write {path}") from error


def _body(pin: Pin) -> str:
    width = max(map(len, pin.platforms), default=0)
    lines = [f'    {platform:<{width}} = "{pin.platforms[platform]}"\n' for platform in sorted(pin.platforms)]
    return f'  manifest = "{pin.manifest}"\n  platforms = {{\n{"".join(lines)}  }}\n'


def _blocks(body: Body) -> tuple[Block, ...]:
    for attribute in body.attributes:
        raise Problem("lock.invalid", f'unknown attribute "{attribute.name}"', attribute.at)
    for block in body.blocks:
        if block.name != "provider" or len(block.labels) != 1:
            raise Problem("lock.invalid", f'unknown block "{block.name}"', block.at)
    return body.blocks


def _pin(block: Block) -> tuple[str, Pin]:
    values = {attribute.name: attribute.value for attribute in block.body.attributes}
    if values.keys() != {"manifest", "platforms"} or block.body.blocks:
        raise Problem("lock.invalid", "a provider has the attributes manifest and platforms", block.at)
    platforms = values["platforms"]
    if not isinstance(platforms, ObjectOf):
        raise Problem("lock.invalid", "platforms is not an object", platforms.at)
    found = {_platform(key): _digest(value) for key, value in platforms.items}
    return block.labels[0].text, Pin(_digest(values["manifest"]), found)


def _platform(key: Expression) -> str:
    name = key.name if isinstance(key, Name) else key.value if isinstance(key, Literal) else None
    if not isinstance(name, str) or not _PLATFORM.fullmatch(name):
        raise Problem("lock.invalid", "invalid platform", key.at)
    return name


def _digest(value: Expression) -> str:
    if not isinstance(value, Literal) or not isinstance(value.value, str) or not _DIGEST.fullmatch(value.value):
        raise Problem("lock.invalid", "invalid digest", value.at)
    return value.value


def _invalid(message: str, place: SourceLocation) -> ConfigError:
    return ConfigError(
        "lock.invalid",
        f"the lock file is invalid: {message}",
        place=place,
        hint="Restore it from version control, or delete it and run `dstream provider lock`.",
    )
