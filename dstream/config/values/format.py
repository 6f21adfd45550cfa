"""The functions format() and formatlist(): Go's verbs, with the conversions of HCL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

from dstream.config.values.function_table import CallFailed
from dstream.config.values.values import NotConvertible, Value, exact, to_bool, to_json, to_number, to_text

_VERB = re.compile(r"%(?:%|([-+ 0#]*)(\d+)?(?:\.(\d+))?(?:\[(\d+)\])?([a-zA-Z]))|%")
_PRECISION = 6
_WIDEST = 10_000


@dataclass(frozen=True, slots=True)
class _Verb:
    letter: str
    flags: str
    width: int
    precision: int | None

    def padded(self, text: str) -> str:
        fill = "0" if "0" in self.flags else " "
        return text.ljust(self.width, fill) if "-" in self.flags else text.rjust(self.width, fill)

    def signed(self, text: str, is_negative: bool) -> str:
        """Return digits with their sign; zeros are padded after it."""
        sign = "-" if is_negative else "+" if "+" in self.flags else " " if " " in self.flags else ""
        if "0" in self.flags and "-" not in self.flags:
            return sign + text.rjust(self.width - len(sign), "0")
        return (sign + text).ljust(self.width) if "-" in self.flags else (sign + text).rjust(self.width)


def format_values(layout: str, *values: Value) -> str:
    """Return the layout with its verbs replaced. Raises CallFailed."""
    position = used = 0

    def written(match: re.Match[str]) -> str:
        nonlocal position, used
        if match[0] == "%%":
            return "%"
        if match[5] is None:
            raise CallFailed('a "%" must be followed by a verb; write %% for a percent sign', 0)
        flags, width, precision, index, letter = match.groups()
        position = int(index) if index else position + 1
        used = max(used, position)
        if not 1 <= position <= len(values):
            raise CallFailed(f"no argument for {match[0]}")
        if max(int(width or 0), int(precision or 0)) > _WIDEST:
            raise CallFailed(f"{match[0]} is wider than {_WIDEST:,}", 0)
        verb = _Verb(letter, flags, int(width or 0), None if precision is None else int(precision))
        return _formatted(verb, values[position - 1], position)

    result = _VERB.sub(written, layout)
    if used < len(values):
        raise CallFailed(f"no verb for argument {used + 2}", used + 1)
    return result


def format_lists(layout: str, *values: Value) -> list[str]:
    """Format once per element of the lists among the values; other values repeat. Raises CallFailed."""
    lengths = {len(value): number for number, value in enumerate(values) if isinstance(value, list)}
    if len(lengths) > 1:
        raise CallFailed("the lists have different lengths", max(lengths.values()) + 1)
    rows = [[value[row] if isinstance(value, list) else value for value in values] for row in range(*lengths or [1])]
    return [format_values(layout, *row) for row in rows]


def _formatted(verb: _Verb, value: Value, argument: int) -> str:
    try:
        if verb.letter == "v":
            return _as_it_is(verb, value)
        if verb.letter == "t":
            return to_text(to_bool(value))
        if verb.letter in "sq":
            text = to_text(value)[: verb.precision or None]
            return verb.padded(to_json(text) if verb.letter == "q" else text)
        if verb.letter in "bdoxX":
            return _whole(verb, value)
        if verb.letter in "eEfgG":
            return _fraction(verb, exact(to_number(value)))
    except NotConvertible as error:
        raise CallFailed(f"%{verb.letter} cannot format argument {argument + 1}, {error}", argument) from None
    raise CallFailed(f"unknown verb %{verb.letter}", 0)


def _as_it_is(verb: _Verb, value: Value) -> str:
    if "#" in verb.flags or isinstance(value, (bool, list, dict)) or value is None:
        return verb.padded(to_json(value))
    return verb.padded(value if isinstance(value, str) else _general(exact(to_number(value)), None))


def _whole(verb: _Verb, value: Value) -> str:
    found = to_number(value)
    if isinstance(found, float):
        raise NotConvertible("a fraction")
    digits = format(abs(found), verb.letter)
    prefix = {"b": "0b", "o": "0", "x": "0x", "X": "0X", "d": ""}[verb.letter] if "#" in verb.flags else ""
    return verb.signed(prefix + digits.rjust(verb.precision or 0, "0"), found < 0)


def _fraction(verb: _Verb, value: Decimal) -> str:
    precision = _PRECISION if verb.precision is None else verb.precision
    letter = verb.letter.lower()
    if letter == "f":
        text = format(abs(value), f".{precision}f")
    elif letter == "e":
        text = _scientific(abs(value), precision)
    else:
        text = _general(abs(value), verb.precision)
    return verb.signed(text.upper() if verb.letter in "EG" else text, value.is_signed() and value != 0)


def _general(value: Decimal, precision: int | None) -> str:
    """Return all significant digits, or `precision` of them; with an exponent below -4 or from 6 (the precision) on."""
    sign, value = ("-", -value) if value.is_signed() and value else ("", abs(value))
    if precision is not None:
        value = Context(max(precision, 1), ROUND_HALF_EVEN).plus(value)
    value = value.normalize(Context(1000)) if value else Decimal(0)
    digits, exponent = len(value.as_tuple().digits), value.adjusted()
    if value and (exponent < -4 or exponent >= (_PRECISION if precision is None else max(precision, 1))):
        return sign + _scientific(value, digits - 1)
    return sign + format(value, "f")


def _scientific(value: Decimal, precision: int) -> str:
    mantissa, _, exponent = format(value, f".{precision}e").partition("e")
    exponent = exponent if value else "+0"
    return f"{mantissa}e{exponent[0]}{exponent[1:].rjust(2, '0')}"
