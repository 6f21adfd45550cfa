"""Reads files into sources and bodies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dstream.config.gotemplate import render
from dstream.config.hcl.parse import parse
from dstream.config.hcl.problem import Problem
from dstream.config.hcl.source import SourceFile
from dstream.config.hcl.syntax import Body
from dstream.config.untrusted import refuse_link
from dstream.config.values.environment import Environment
from dstream.config.values.file_text import file_text
from dstream.errors import ConfigError, SourceLocation

LOCK_FILE = "dstream.lock.hcl"
"""Next to the configuration, and no part of it: `dstream.plugins` reads it."""


def files_of(path: Path) -> Sequence[Path]:
    """Return the file itself, or the *.hcl files in a folder except the lock file. Raises ConfigError."""
    if not path.is_dir():
        return [path]
    found = sorted(each for each in path.glob("*.hcl") if each.name != LOCK_FILE)
    if not found:
        raise _not_there(path, f"no *.hcl files in {path}")
    return found


def parsed(path: Path, around: Environment) -> tuple[SourceFile, Body]:
    """Render and parse the file.

    Raises ConfigError, and RefusedError if it is untrusted and reads the environment or is a link out of its folder.
    """
    if around.is_untrusted:
        refuse_link(path)
    text = _text(path)
    source = render(str(path), text, environ=around.environ, now=around.now, is_untrusted=around.is_untrusted)
    try:
        return source, parse(source)
    except Problem as problem:
        raise source.error(problem) from None
    except RecursionError:
        raise source.error(Problem("config.syntax", "nested too deeply", 0)) from None


def _text(path: Path) -> str:
    try:
        return file_text(path, encoding="utf-8-sig")
    except FileNotFoundError:
        raise _not_there(path, f"{path} not found") from None
    except UnicodeDecodeError:
        raise ConfigError("config.file", f"{path} is not valid UTF-8", place=SourceLocation(str(path))) from None
    except OSError as error:
        raise ConfigError(
            "config.file", f"cannot read {path}: {error.strerror}", place=SourceLocation(str(path))
        ) from None


def _not_there(path: Path, message: str) -> ConfigError:
    hint = "Specify the configuration with -c FILE or DSTREAM_CONFIG."
    return ConfigError("config.file", message, place=SourceLocation(str(path)), hint=hint)
