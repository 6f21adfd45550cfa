"""Any text inside Markdown, so that it is shown as it is: in a table, a code span, a fenced block. Pure."""

from __future__ import annotations

import re

_LONGEST = 300
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
_SPECIAL = re.compile(r"[\\`*_\[\]<>#!|~&@$:]")
_NOT_IN_CODE = re.compile(r"[`|\\<>]")
_BACKTICKS = re.compile(r"`+")


def prose(text: str) -> str:
    """What Markdown, HTML or a forge (`@name`, `#1`, `:word:`, `$x$`) would take for a sign of its own is an entity."""
    return _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", one_line(text))


def code(text: str) -> str:
    """In code type. Where a span is not enough (a backtick, `\\|` in a table, tags) it is an element."""
    text = one_line(text)
    if not text or _NOT_IN_CODE.search(text):
        return f"<code>{prose(text)}</code>"
    return f"`{text}`"


def fenced(lines: list[str], language: str) -> str:
    """A block whose fence is longer than any run of backticks in it."""
    text = "\n".join(lines)
    fence = "`" * max([3, *(len(run) + 1 for run in _BACKTICKS.findall(text))])
    return f"{fence}{language}\n{text}\n{fence}"


def one_line(text: str) -> str:
    """Without line ends and other signs of control; what is very long is cut, and that is seen."""
    text = _CONTROL.sub(" ", text).strip()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
