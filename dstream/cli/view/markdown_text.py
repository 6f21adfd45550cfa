"""Escapes text for Markdown: in a paragraph, a table, a code span or a fenced block. Pure.

An entity alone does not stop GitHub from linking `@name`, `#1` and mail addresses, since it looks for them in the
rendered text; a zero-width space inside does.
"""

from __future__ import annotations

import re

from dstream.shown import shown

_LONGEST = 300
_BREAK = re.compile(r"[\t-\r\x1c-\x1e\x85\u2028\u2029]+")
_SPECIAL = re.compile(r"[\\`*_\[\]<>#!|~&@$:]")
_REFERENCE = re.compile(r"&#(?:33|35|36|64|126);(?=\w)|www(?=\.)", re.IGNORECASE)
_LIST_MARKER = re.compile(r"^(\d*)([-+=]|(?<=\d)[.)])")
_ZERO_WIDTH_SPACE = "&#8203;"
_NOT_IN_CODE = re.compile(r"[`|\\<>]")
_BACKTICKS = re.compile(r"`+")


def prose(text: str) -> str:
    """Replace what Markdown, HTML or a forge would interpret (`@name`, `#1`, `:word:`, `$x$`) with entities."""
    entities = _SPECIAL.sub(lambda found: _entity(found[0]), one_line(text))
    paragraph = _LIST_MARKER.sub(lambda found: found[1] + _entity(found[2]), entities)
    return _REFERENCE.sub(lambda found: found[0] + _ZERO_WIDTH_SPACE, paragraph)


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
    """Join the lines, escape other control characters, and truncate a very long text with an ellipsis."""
    text = shown(_BREAK.sub(" ", text).strip())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _entity(character: str) -> str:
    return f"&#{ord(character)};"
