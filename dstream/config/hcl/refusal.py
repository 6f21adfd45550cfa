"""The error for what a file may not contain before anyone has reviewed it."""

from __future__ import annotations

from dstream.errors import RefusedError, SourceLocation


def refusal(what: str, place: SourceLocation | None = None, hint: str = "") -> RefusedError:
    """Return the error. It is no ConfigError, so `try()` does not catch it."""
    return RefusedError(
        "untrusted.refused",
        f"{what} is refused in an untrusted file",
        place=place,
        hint=hint or "Review the file, then run the command without --untrusted and DSTREAM_UNTRUSTED.",
    )
