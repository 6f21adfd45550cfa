"""The attributes of a `transform` block: evaluated and typed, with their errors and secrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from dstream.config.blocks.body_reader import BodyReader
from dstream.config.blocks.row_expression import RowExpressions
from dstream.config.hcl.problem import Problem
from dstream.config.hcl.syntax import Expression
from dstream.config.values.key_vault_secret import Unread
from dstream.config.values.sensitive import SensitiveMark, mark_of, revealed
from dstream.config.values.values import Value, kind
from dstream.errors import ConfigError, ConfigErrors
from dstream.protocol.transforms import FixedValue, RowCondition, RowField

_T = TypeVar("_T")


class TransformAttributes:
    """Each method returns None for an attribute that is not set, null, in a key vault that is not read, or wrong; the
    last is added to `errors`."""

    def __init__(self, reader: BodyReader, at: int) -> None:
        """`at`: the place of the block, for attributes that are missing."""
        self.errors: list[ConfigError | ConfigErrors] = []
        self.mark = SensitiveMark()
        """Of everything evaluated so far."""
        self._is_sensitive = False
        """Whether the value evaluated last is sensitive."""
        self._reader = reader
        self._at = at
        self._rows = RowExpressions(self._evaluate)

    def has(self, name: str) -> bool:
        return self._reader.attribute(name) is not None

    def typed(
        self,
        name: str,
        wanted: str,
        convert: Callable[[Value], _T | None],
        *,
        required: bool = False,
        secret: bool = False,
        names: bool = False,
    ) -> _T | None:
        """Return the attribute, converted; `convert` returns None for a value that is not `wanted`. `names`:
        it names tables or columns, which are shown although `env()` has read them."""

        def read(expression: Expression) -> _T | None:
            read_before = self.mark.read
            value, is_sensitive = self._evaluate(expression), self._is_sensitive
            if names:
                self.mark = SensitiveMark(self.mark.secrets, read_before)
            if secret and isinstance(value, str):
                self.mark |= SensitiveMark(secrets=frozenset({value}))
            if value is None:
                self._check_present(name, required)
                return None
            converted = convert(value)
            if converted is None:
                self.complain(name, f"{name} must be {wanted}, not {_shown(value, secret or is_sensitive)}")
            return converted

        return self._read(name, read, required)

    def condition(self, name: str, *, required: bool = False) -> RowCondition | None:
        return self._read(name, self._rows.condition, required)

    def row_text(self, name: str, *, required: bool = False) -> list[RowField | FixedValue] | None:
        return self._read(name, self._rows.text, required)

    def complain(self, name: str, message: str) -> None:
        """Report the value of an attribute."""
        attribute = self._reader.attribute(name)
        place = self._reader.source.place(attribute.value.at if attribute else self._at, self._reader.block)
        self.errors.append(ConfigError("config.type", message, place=place))

    def _read(self, name: str, read: Callable[[Expression], _T], required: bool) -> _T | None:
        attribute = self._reader.attribute(name)
        if attribute is None:
            self._check_present(name, required)
            return None
        try:
            return read(attribute.value)
        except Unread:
            return None
        except Problem as problem:
            self.errors.append(self._reader.source.error(problem, self._reader.block))
        except (ConfigError, ConfigErrors) as error:
            self.errors.append(error)
        return None

    def _check_present(self, name: str, required: bool) -> None:
        if required:
            place = self._reader.source.place(self._at, self._reader.block)
            message = f'the transform has no "{name}"'
            self.errors.append(ConfigError("config.missing", message, place=place, hint=f"Add {name} = ..."))

    def _evaluate(self, expression: Expression) -> Value:
        value = self._reader.scope.evaluate(self._reader.source, expression, self._reader.block)
        mark = mark_of(value)
        self._is_sensitive = mark is not None
        self.mark |= mark or SensitiveMark()
        return revealed(value)  # type: ignore[no-any-return]


def _shown(value: Value, secret: bool) -> str:
    if value in ("", [], {}):
        return f"an empty {kind(value).split()[-1]}"
    return f'"{value}"' if isinstance(value, str) and not secret else kind(value)
