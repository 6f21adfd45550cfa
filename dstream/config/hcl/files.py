"""Files to sources and bodies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from dstream.config.gotemplate import render
from dstream.config.hcl.parse import parse
from dstream.config.hcl.problem import Problem
from dstream.config.hcl.source import SourceFile
from dstream.config.hcl.syntax import Body
from dstream.errors import ConfigError, SourceLocation


def files_of(path: Path) -> Sequence[Path]:
    """The file itself, or the *.hcl of a folder. Raises ConfigError."""
    if not path.is_dir():
        return [path]
    found = sorted(path.glob("*.hcl"))
    if not found:
        raise _not_there(path, f"there is no *.hcl in {path}")
    return found


def parsed(path: Path, environ: Mapping[str, str], now: Callable[[], datetime]) -> tuple[SourceFile, Body]:
    """The file rendered and parsed. Raises ConfigError."""
    source = render(str(path), _text(path), environ=environ, now=now)
    try:
        return source, parse(source)
    except Problem as problem:
        raise source.error(problem) from None
    except RecursionError:
        raise source.error(Problem("config.syntax", "this is nested too deep", 0)) from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise _not_there(path, f"there is no {path}") from None
    except UnicodeDecodeError:
        raise ConfigError("config.file", f"{path} is no UTF-8 text", place=SourceLocation(str(path))) from None
    except OSError as error:
        raise ConfigError(
            "config.file", f"{path} can't be read: {error.strerror}", place=SourceLocation(str(path))
        ) from None


def _not_there(path: Path, message: str) -> ConfigError:
    hint = "Say where the configuration is: dstream -c FILE, or DSTREAM_CONFIG."
    return ConfigError("config.file", message, place=SourceLocation(str(path)), hint=hint)
