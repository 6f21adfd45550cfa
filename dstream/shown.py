"""Makes text harmless where people and CI systems read it. Pure.

Text from others, such as a name, a row, an error of a server or a line of a provider, may contain sequences that a
terminal obeys, characters that reorder or hide text, line ends that forge lines, and commands of CI systems. Every such
character is written as `\\uXXXX`, which is valid in text and in JSON.

- Unprintable is what `str.isprintable` says: Unicode's categories Other (control, format, surrogate, private use,
  unassigned) and Separator, except the space.
- GitHub's runner obeys a line that starts with `::`, and `##[` anywhere in it (actions/runner, ActionCommand.cs).
- The agent of Azure Pipelines obeys `##vso[` (https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands),
  anywhere in a line as far as is known.

Streams escape all they write with `on_stream`. It leaves DStream's own colors and line ends alone, so a command shows
text from others with `shown` or `shown_lines`.
"""

from __future__ import annotations

import re

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_COMMAND = re.compile(r"^([^\S\n]*):(?=:)|#(?=#(?:vso)?\[)", re.MULTILINE | re.IGNORECASE)
_OWN_SEQUENCE = re.compile(r"(\A\r|\x1b\[(?:[012]|3[0-7])m|\x1b\[K|\x1b\[\?25[lh])")
"""What click's styles and progress bar and the redrawn lines use."""


def shown(text: str) -> str:
    """Return the text for use within a line."""
    return _without_commands(_printable(text, keeps=""))


def shown_lines(text: str) -> str:
    """Return the text of one or more lines: line ends and tabs stay."""
    return _without_commands(_printable(text, keeps="\n\t"))


def on_stream(text: str) -> str:
    """Return a command's output, with DStream's own terminal sequences."""
    parts = _OWN_SEQUENCE.split(text)
    parts[::2] = [_printable(part, keeps="\n\t") for part in parts[::2]]
    return _without_commands("".join(parts))


def escaped(text: str) -> str:
    """Return each character as `\\uXXXX`; one beyond U+FFFF as two, as in JSON."""
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{int.from_bytes(units[at : at + 2]):04x}" for at in range(0, len(units), 2))


def _printable(text: str, *, keeps: str) -> str:
    kept = text
    for each in keeps:
        kept = kept.replace(each, "")
    if kept.isprintable():
        return text
    return "".join(each if each.isprintable() or each in keeps else _SHORT.get(each) or escaped(each) for each in text)


def _without_commands(text: str) -> str:
    if "::" not in text and "##" not in text:
        return text
    return _COMMAND.sub(lambda found: found[1] + "\\u003a" if found[1] is not None else "\\u0023", text)
