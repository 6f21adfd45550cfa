"""Escapes text for Markdown: in a table, a code span or a fenced block. Pure."""

from __future__ import annotations

import re

_LONGEST = 300
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
_SPECIAL = re.compile(r"[\\`*_\[\]<>#!|~&@$:]")
_NOT_IN_CODE = re.compile(r"[`|\\<>]")
_BACKTICKS = re.compile(r"`+")


def prose(text: str) -> str:
    """Replace what Markdown, HTML or a forge would interpret (`@name`, `#1`, `:word:`, `$x$`) with entities."""
    return _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", one_line(text))


def code(text: str) -> str:
    """Return a code span, or a `<code>` element if the text needs escaping (a backtick, `\\|` in a table, tags)."""
    text = one_line(text)
    if not text or _NOT_IN_CODE.search(text):
        return f"<code>{prose(text)}</code>"
    return f"`{text}`"


def fenced(lines: list[str], language: str) -> str:
    """Return a block whose fence is longer than any run of backticks in it."""
    text = "\n".join(lines)
    fence = "`" * max([3, *(len(run) + 1 for run in _BACKTICKS.findall(text))])
    return f"{fence}{language}\n{text}\n{fence}"


def one_line(text: str) -> str:
    """Replace line ends and other control characters, and truncate a very long text with an ellipsis."""
    text = _CONTROL.sub(" ", text).strip()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
