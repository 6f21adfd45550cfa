"""Functions of text. Names and behavior follow Terraform; characters are Unicode code points."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from dstream.config.values.cpu_limit import CpuLimitReached, cpu_limit
from dstream.config.values.file_text import MAX_CHARACTERS
from dstream.config.values.format import format_lists, format_values
from dstream.config.values.function_table import CallFailed, Function
from dstream.config.values.patterns import BadPattern, compiled, matches, replaced, result
from dstream.config.values.values import Value

_LINE_END = re.compile(r"(?:\r\n|\r|\n)+\Z")
_WIDEST = 10_000
_SEARCH_S = 1
"""Maximum CPU time of a search with a regular expression."""
_Found = TypeVar("_Found")


def _replace(text: str, old: str, new: str) -> str:
    """Replace text. In slashes, `old` is a regular expression, with `$1` in `new`."""
    if len(old) < 2 or old[0] != "/" or old[-1] != "/":
        _check_length(text.count(old) * len(new))
        return text.replace(old, new)
    pattern = _pattern(old[1:-1], 1)
    _check_length(_in_time(lambda: sum(len(new) for _ in matches(pattern, text)), 1))
    return _in_time(lambda: replaced(pattern, text, new), 1)


def _regex(pattern: str, text: str) -> Value:
    expression = _pattern(pattern, 0)
    found = _in_time(lambda: next(matches(expression, text), None), 0)
    if found is None:
        raise CallFailed("the text does not match the regular expression", 1)
    return _result(found)


def _regexall(pattern: str, text: str) -> list[Value]:
    expression = _pattern(pattern, 0)
    return [_result(found) for found in _in_time(lambda: list(matches(expression, text)), 0)]


def _pattern(pattern: str, argument: int) -> re.Pattern[str]:
    try:
        return compiled(pattern)
    except BadPattern as error:
        raise CallFailed(str(error), argument) from None


def _in_time(search: Callable[[], _Found], argument: int) -> _Found:
    """Run a search. RE2's take linear time; Python's can take years, e.g. of "(a+)+b" in "aaa..."."""
    try:
        with cpu_limit(_SEARCH_S):
            return search()
    except CpuLimitReached:
        message = f"the search took more than {_SEARCH_S} s; simplify the regular expression, e.g. (a+)+ to a+"
        raise CallFailed(message, argument) from None


def _result(match: re.Match[str]) -> Value:
    try:
        return result(match)
    except BadPattern as error:
        raise CallFailed(str(error), 0) from None


def _split(separator: str, text: str) -> list[str]:
    return text.split(separator) if separator else list(text)


def _join(separator: str, *lists: list[str | None]) -> str:
    for number, items in enumerate(lists):
        if any(item is None for item in items):
            raise CallFailed("the list contains null, which is not a string", number + 1)
    texts = [item for items in lists for item in items if item is not None]
    _check_length(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def _check_length(characters: int) -> None:
    """Refuse a result that would fill memory."""
    if characters > MAX_CHARACTERS:
        raise CallFailed(f"the result is longer than {MAX_CHARACTERS:,} characters")


def _substr(text: str, offset: int, length: int) -> str:
    """Return part of a text. A negative offset counts from the end; a negative length means the rest."""
    start = max(offset + len(text), 0) if offset < 0 else offset
    return text[start:] if length < 0 else text[start : start + length]


def _indent(width: int, text: str) -> str:
    """Indent all lines but the first."""
    if not 0 <= width <= _WIDEST:
        raise CallFailed(f"argument 1 must be between 0 and {_WIDEST:,}", 0)
    _check_length(text.count("\n") * width)
    return text.replace("\n", "\n" + " " * width)


def _title(text: str) -> str:
    """Put the first letter of each word in upper case. A word begins after anything but letters, digits and `_`."""
    return re.sub(r"(?<![\w])[^\W\d_]", lambda letter: _changed(letter[0], letter[0].title()), text)


def _upper(text: str) -> str:
    return text.upper() if text.isascii() else "".join(_changed(char, char.upper()) for char in text)


def _lower(text: str) -> str:
    return text.lower() if text.isascii() else "".join(_changed(char, char.lower()[:1]) for char in text)


def _changed(char: str, other: str) -> str:
    """Return the other case of a character, unless that is several characters, as for `ß`."""
    return other if len(other) == 1 else char


FUNCTIONS_OF_TEXT: dict[str, Function] = {
    "chomp": Function(lambda text: _LINE_END.sub("", text), ("text",)),
    "endswith": Function(str.endswith, ("text", "text")),
    "format": Function(format_values, ("text",), rest="any"),
    "formatlist": Function(format_lists, ("text",), rest="any"),
    "indent": Function(_indent, ("whole", "text")),
    "join": Function(_join, ("text", "texts"), rest="texts"),
    "lower": Function(_lower, ("text",)),
    "regex": Function(_regex, ("text", "text")),
    "regexall": Function(_regexall, ("text", "text")),
    "replace": Function(_replace, ("text", "text", "text")),
    "split": Function(_split, ("text", "text")),
    "startswith": Function(str.startswith, ("text", "text")),
    "strcontains": Function(str.__contains__, ("text", "text")),
    "strrev": Function(lambda text: text[::-1], ("text",)),
    "substr": Function(_substr, ("text", "whole", "whole")),
    "title": Function(_title, ("text",)),
    "trim": Function(lambda text, cut: text.strip(cut) if cut else text, ("text", "text")),
    "trimprefix": Function(str.removeprefix, ("text", "text")),
    "trimspace": Function(str.strip, ("text",)),
    "trimsuffix": Function(str.removesuffix, ("text", "text")),
    "upper": Function(_upper, ("text",)),
}
