"""What goes wrong while one text is read or evaluated, before it is known which file it came from."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class Problem(Exception):
    """A complaint about the text at offset `at`; `Source.error` turns it into a ConfigError with a place.

    `cause` is a second offset where the reason may be, such as the line break that cut a string short.
    """

    def __init__(self, code: str, message: str, at: int, hint: str = "", *, cause: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.at = at
        self.hint = hint
        self.cause = cause


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The sentence that names the closest known name, or nothing when none is close."""
    names = sorted(known)
    same_but_case = [candidate for candidate in names if candidate.lower() == name.lower()]
    close = same_but_case or difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f'Did you mean "{close[0]}"?' if close else ""
