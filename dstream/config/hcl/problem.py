"""Problems found while parsing or evaluating a text, before its file is known."""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections.abc import Iterable, Sequence

_COMPARED = 128
"""Maximum number of known names that are all compared: more than the language has functions."""
_NEIGHBORS = 16


class Problem(Exception):
    """A problem in the text at offset `at`; `SourceFile.error` turns it into a ConfigError with a place.

    `cause` is a second offset that may be the reason, such as the line break in an unclosed string.
    """

    def __init__(self, code: str, message: str, at: int, hint: str = "", *, cause: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.at = at
        self.hint = hint
        self.cause = cause


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests the closest known name; empty if none is close.

    A comparison takes about 25 µs. Of many known names, only those next to the name in the alphabet are compared, so
    that a file with thousands of wrong names is reported in seconds.
    """
    names = sorted(known)
    same_but_case = [candidate for candidate in names if candidate.lower() == name.lower()]
    compared = names if len(names) <= _COMPARED else _neighbors(name, names)
    close = same_but_case or difflib.get_close_matches(name, compared, n=1, cutoff=0.6)
    return f'Did you mean "{close[0]}"?' if close else ""


def _neighbors(name: str, names: Sequence[str]) -> Sequence[str]:
    at = bisect_left(names, name)
    return names[max(at - _NEIGHBORS, 0) : at + _NEIGHBORS]
