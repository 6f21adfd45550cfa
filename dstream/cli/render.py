"""Formats errors for the user: message and code, place with its source line, details, hint."""

from __future__ import annotations

from typing import TextIO

from dstream.errors import ConfigError, ConfigErrors, DStreamError
from dstream.redact import source_line
from dstream.shown import shown, shown_lines


def show_errors(error: DStreamError, stream: TextIO) -> None:
    """Write to `stream` (stderr)."""
    if isinstance(error, ConfigErrors) and len(error.errors) == 1:
        error = error.errors[0]
    stream.write(shown_lines(_several(error.errors) if isinstance(error, ConfigErrors) else _one(error)))
    stream.flush()


def _one(error: DStreamError) -> str:
    lines = [f"Error: {_hanging(error.message)}   [{error.code}]"]
    if error.place:
        block = f"  {error.place.block}" if error.place.block else ""
        lines.append(shown(f"  {error.place}{block}"))
        if error.place.source_line:
            lines.append(f"  {error.place.line:>5} │ {_code(error.place.source_line)}")
    lines += [f"  {_hanging(line)}" for line in error.details]
    lines += [f"  {line}" for line in error.hint.splitlines()]
    return "\n".join(lines) + "\n"


def _several(errors: tuple[ConfigError, ...]) -> str:
    places = [shown(str(error.place)) if error.place else "" for error in errors]
    width = max(map(len, places))
    lines = []
    for error, place in zip(errors, places, strict=True):
        hint = f" {error.hint}" if error.hint and "\n" not in error.hint else ""
        lines.append(f"{place:<{width}}  {_hanging(error.message)}{'' if error.message.endswith('.') else '.'}{hint}")
    files = {error.place.file for error in errors if error.place}
    lines.append(f"{len(errors)} errors in {len(files)} file{'' if len(files) == 1 else 's'}.")
    return "\n".join(lines) + "\n"


def _code(line: str) -> str:
    return shown(source_line(line.rstrip().expandtabs(4)))


def _hanging(text: str) -> str:
    """Indent the lines after the first, so that none looks like a line of its own."""
    return text.replace("\n", "\n    ")
