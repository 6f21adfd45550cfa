r"""Regular expressions in the syntax of RE2, as far as Python's `re` has an equivalent, and their replacements.

Classes such as `\d` and `\w` match ASCII only. What RE2 lacks is refused: lookaround, backreferences, possessive
quantifiers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from dstream.config.values.values import Value

_TOKEN = re.compile(
    r"""
    \\Q (?P<quoted>.*?) (?: \\E | \Z )
    | (?P<foreign> \\[uUNZpP] | \(\? (?: [=!>(\#] | <[=!] | P= | [a-zA-Z]*[Ux] ) | (?: [*+?] | \{[0-9,]+\} ) \+ )
    | \\x\{ (?P<hex>[0-9A-Fa-f]+) \} | \\ (?P<octal>[0-7]{3})
    | (?P<backreference> \\[1-9] )
    | (?P<end>\\z) | (?P<name>\(\?<(?=\w)) | (?P<dollar>\$) | (?P<brace>\{(?=,))
    | (?P<set> \[\^?\]? (?: \[:\^?\w+:\] | \\. | [^\\\]] )* \]? )
    | \\.
    """,
    re.VERBOSE | re.DOTALL,
)
_IN_SET = re.compile(
    r"\[:(?P<posix>\^?\w+):\]|\\x\{(?P<hex>[0-9A-Fa-f]+)\}|\\(?P<octal>[0-7]{3})|(?P<foreign>\\[uUNpP])|(?P<plain>[\[&~|])|\\.",
    re.DOTALL,
)
_FLAGS = re.compile(r"\(\?([a-zA-Z]*)m")
_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
    "^digit": r"\D",
    "^space": r"\S",
    "^word": r"\W",
}
_REFERENCE = re.compile(r"\$(?:\{(\w+)\}|(\w+)|(\$))", re.ASCII)


class BadPattern(Exception):
    """Not a regular expression. The message says why."""


def compiled(pattern: str) -> re.Pattern[str]:
    """Compile an expression in RE2's syntax. Raises BadPattern."""
    try:
        return re.compile(_translated(pattern), re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise BadPattern(f"not a valid regular expression: {error}") from None


def matches(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Yield the matches as Go does: an empty one right after another match does not count."""
    at, previous_end = 0, -1
    while at <= len(text) and (match := pattern.search(text, at)):
        if match.end() > match.start() or match.start() != previous_end:
            yield match
        previous_end = match.end()
        at = match.end() + (match.end() == match.start())


def result(match: re.Match[str]) -> Value:
    """Return the match, a list of its groups, or an object if they have names. Raises BadPattern."""
    names = match.re.groupindex
    if not match.re.groups:
        return match[0]
    if names and len(names) < match.re.groups:
        raise BadPattern("either all groups or none must have names")
    return dict(match.groupdict()) if names else list(match.groups())


def replaced(pattern: re.Pattern[str], text: str, replacement: str) -> str:
    """Replace all matches. `$1`, `${1}` and `$name` stand for groups, `$$` for a dollar sign."""
    pieces: list[str] = []
    end = 0
    for match in matches(pattern, text):
        pieces += [text[end : match.start()], _REFERENCE.sub(_group(match), replacement)]
        end = match.end()
    return "".join([*pieces, text[end:]])


def _group(match: re.Match[str]) -> Callable[[re.Match[str]], str]:
    def value(reference: re.Match[str]) -> str:
        if reference[3]:
            return "$"
        name = reference[1] or reference[2]
        known = int(name) <= match.re.groups if name.isdigit() else name in match.re.groupindex
        return (match[int(name) if name.isdigit() else name] or "") if known else ""

    return value


def _translated(pattern: str) -> str:
    r"""Return the expression in Python's syntax. `$` is the end of the text, unless a flag makes it that of a line."""
    dollar = "$" if _FLAGS.search(pattern) else r"\Z"

    def translated(token: re.Match[str]) -> str:
        match token.lastgroup:
            case "foreign" | "backreference":
                raise BadPattern(f"{token[0]} is not supported in a regular expression")
            case "quoted":
                return re.escape(token["quoted"])
            case "set":
                # the brackets and a "]" right after them are not content
                opening = re.match(r"\[\^?\]?", token[0])
                assert opening
                return opening[0] + _IN_SET.sub(_translated_in_set, token[0][opening.end() :])
            case "hex" | "octal":
                return _character(token)
        return {"end": r"\Z", "name": "(?P<", "dollar": dollar, "brace": r"\{"}.get(token.lastgroup or "", token[0])

    return _TOKEN.sub(translated, pattern)


def _translated_in_set(token: re.Match[str]) -> str:
    match token.lastgroup:
        case "posix" if token["posix"] in _POSIX:
            return _POSIX[token["posix"]]
        case "posix" | "foreign":
            raise BadPattern(f"{token[0]} is not supported in a regular expression")
        case "hex" | "octal":
            return _character(token)
        case "plain":
            return f"\\{token[0]}"
    return token[0]


def _character(token: re.Match[str]) -> str:
    code = int(token["hex"], 16) if token.lastgroup == "hex" else int(token["octal"], 8)
    if code > 0x10FFFF:
        raise BadPattern(f"{token[0]} is not a Unicode character")
    return re.escape(chr(code))
