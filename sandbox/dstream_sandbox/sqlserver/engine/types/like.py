"""LIKE and PATINDEX patterns (Microsoft Learn, "LIKE (Transact-SQL)")."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache


@lru_cache(maxsize=2_000)
def compiled(pattern: str, escape: str | None, collation: str) -> re.Pattern[str]:
    """Compile `%`, `_`, `[a-z]`, `[^a-z]` and an escape character to a regular expression for `match`."""
    out: list[str] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if escape and char == escape and position + 1 < len(pattern):
            position += 1
            out.append(re.escape(pattern[position]))
        elif char == "%":
            out.append(".*")
        elif char == "_":
            out.append(".")
        elif char == "[" and (end := pattern.find("]", position + 1)) > 0:
            out.append(_set(pattern[position + 1 : end]))
            position = end
        else:
            out.append(re.escape(char))
        position += 1
    flags = re.DOTALL if collation in ("cs", "bin") else re.DOTALL | re.IGNORECASE
    return re.compile("".join(out), flags)


def _set(body: str) -> str:
    negated = body.startswith("^")
    inside = body[1:] if negated else body
    escaped = inside.replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^")
    if not escaped:
        return "(?!)"
    return f"[{'^' if negated else ''}{escaped}]"


def like_matcher(collation: str) -> Callable[[str | None, str | None, str | None], int | None]:
    """Return LIKE as a function of text, pattern, escape. Trailing blanks of the text need not match the pattern."""

    def matches(text: str | None, pattern: str | None, escape: str | None) -> int | None:
        if text is None or pattern is None:
            return None
        expression = compiled(pattern, escape, collation)
        if expression.fullmatch(text):
            return 1
        return 1 if text.endswith(" ") and expression.fullmatch(text.rstrip(" ")) else 0

    return matches
