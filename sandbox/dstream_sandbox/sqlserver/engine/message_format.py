"""RAISERROR's and FORMATMESSAGE's format strings (Microsoft Learn, "RAISERROR (Transact-SQL)")."""

from __future__ import annotations

import re

_SPECIFIER = re.compile(r"%([-+0# ]*)(\*|\d+)?(?:\.(\*|\d+))?(?:I64|h|l)?([diouxXs%])")


def format_message(text: str | None, *args: object) -> str | None:
    """Format like printf; a missing argument shows as (null)."""
    if text is None:
        return None
    waiting = list(args)

    def show(match: re.Match[str]) -> str:
        flags, width, precision, kind = match.groups()
        if kind == "%":
            return "%"
        size = str(waiting.pop(0)) if width == "*" and waiting else (width or "")
        digits = str(waiting.pop(0)) if precision == "*" and waiting else precision
        value = waiting.pop(0) if waiting else None
        if value is None:
            return "(null)"
        form = f"%{flags}{size}" + (f".{digits}" if digits else "")
        if kind == "s" or isinstance(value, str):
            return (form + "s") % (value,)
        return (form + ("d" if kind in "iu" else kind)) % int(str(value))

    return _SPECIFIER.sub(show, text)
