"""Reads `transform` blocks with a label: one typed transform per block."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, get_args

from dstream.config.blocks.body_reader import BodyReader
from dstream.config.blocks.provider_config import is_unset, not_json
from dstream.config.blocks.transform_attributes import TransformAttributes
from dstream.config.hcl.problem import did_you_mean
from dstream.config.hcl.syntax import Block
from dstream.config.model import TransformBlock
from dstream.config.values.values import Value
from dstream.errors import ConfigError, ConfigErrors
from dstream.protocol.transforms import (
    DropColumns,
    FilterRows,
    FixedValue,
    FlattenColumns,
    MaskColumns,
    RenameColumns,
    RouteRows,
    SetColumns,
    Transform,
)

_NAMES = 'a list of names, such as ["Email"]'
_NAME = "a string that is not empty"


class TransformReader:
    """One block. `kind` is its label, or empty if that is invalid, which is reported."""

    def __init__(self, block: Block, task: BodyReader) -> None:
        labels = "".join(f' "{label.text}"' for label in block.labels)
        self._block = block
        self._reader = task.inner(block, f"{task.block}, transform{labels}")
        self.kind = self._kind()
        if self.kind:
            self._reader.check({"tables", *_ATTRIBUTES[self.kind]}, ())

    def block(self, *, evaluate: bool, defer_unset: bool) -> TransformBlock:
        """Return the typed block. `evaluate`: otherwise it has no transform. `defer_unset`: see `load`."""
        attributes = TransformAttributes(self._reader, self._block.at)
        transform = _READERS[self.kind](attributes) if evaluate and self.kind else None
        unset: list[ConfigError | ConfigErrors] = []
        for error in attributes.errors:
            if defer_unset and is_unset(error):
                unset.append(error)
            else:
                self._reader.complaints.add(error)
        place = self._reader.source.place
        return TransformBlock(
            kind=self.kind,
            place=place(self._block.at, self._reader.block),
            transform=None if attributes.errors else transform,
            places={each.name: place(each.at, self._reader.block) for each in self._reader.body.attributes},
            secrets=attributes.mark.secrets,
            read=attributes.mark.read,
            unset=tuple(unset),
        )

    def _kind(self) -> str:
        labels, known = self._block.labels, f"Kinds: {', '.join(_READERS)}."
        if len(labels) > 1:
            self._reader.complain("config.label", 'use the form transform "KIND" { ... }', labels[1].at, known)
            return ""
        kind = labels[0].text
        if kind not in _READERS:
            hint = did_you_mean(kind, _READERS) or known
            self._reader.complain("config.label", f'unknown transform "{kind}"', labels[0].at, hint)
            return ""
        return kind


def _filter(block: TransformAttributes) -> Transform | None:
    where = block.condition("where", required=True)
    return None if where is None else FilterRows(tables=_tables(block), where=where)


def _rename(block: TransformAttributes) -> Transform | None:
    wanted = 'an object of old and new names, such as { CustId = "CustomerId" }'
    columns = block.typed("columns", wanted, _texts_by_name, required=True, names=True)
    if columns is None:
        return None
    if len(set(columns.values())) < len(columns):
        block.complain("columns", "two columns have the same new name")
    return RenameColumns(tables=_tables(block), columns=columns)


def _drop(block: TransformAttributes) -> Transform | None:
    columns = block.typed("columns", _NAMES, _texts, required=True, names=True)
    return None if columns is None else DropColumns(tables=_tables(block), columns=columns)


def _mask(block: TransformAttributes) -> Transform | None:
    columns = block.typed("columns", _NAMES, _texts, required=True, names=True)
    how: Literal["hash", "redact"] | None = block.typed("with", '"hash" or "redact"', _how, required=True)
    hash_key = block.typed("hash_key", _NAME, _text, required=how == "hash", secret=True)
    if how == "redact" and block.has("hash_key"):
        block.complain("hash_key", 'hash_key needs with = "hash"')
    if columns is None or how is None or (how == "hash" and hash_key is None):
        return None
    return MaskColumns(tables=_tables(block), columns=columns, with_=how, hash_key=hash_key or "")


def _set(block: TransformAttributes) -> Transform | None:
    wanted = 'an object of columns and values, such as { Region = "eu" }'
    columns = block.typed("columns", wanted, _values_by_name, required=True)
    return None if columns is None else SetColumns(tables=_tables(block), columns=columns)


def _route(block: TransformAttributes) -> Transform | None:
    field = block.typed("field", _NAME, _text, required=True, names=True)
    value = block.row_text("value", required=True)
    where = block.condition("where") or FixedValue(True)
    if field is None or value is None:
        return None
    return RouteRows(tables=_tables(block), field=field, value=value, where=where)


def _flatten(block: TransformAttributes) -> Transform | None:
    columns = block.typed("columns", _NAMES, _texts, names=True)
    separator = block.typed("separator", _NAME, _text)
    return FlattenColumns(tables=_tables(block), columns=columns, separator=separator or FlattenColumns().separator)


def _tables(block: TransformAttributes) -> list[str] | None:
    return block.typed("tables", 'a list of names, such as ["dbo.Orders"]', _texts, names=True)


_READERS: Mapping[str, Callable[[TransformAttributes], Transform | None]] = {
    "filter": _filter,
    "rename": _rename,
    "drop": _drop,
    "mask": _mask,
    "set": _set,
    "route": _route,
    "flatten": _flatten,
}
_ATTRIBUTES = {kind.__struct_config__.tag: kind.__struct_encode_fields__ for kind in get_args(Transform)}


def _text(value: Value) -> str | None:
    return value if isinstance(value, str) and value else None


def _texts(value: Value) -> list[str] | None:
    texts = [_text(item) for item in value] if isinstance(value, list) else []
    return [text for text in texts if text] if texts and all(texts) else None


def _texts_by_name(value: Value) -> dict[str, str] | None:
    texts = {name: _text(item) for name, item in value.items()} if isinstance(value, dict) else {}
    return {name: text for name, text in texts.items() if text} if texts and all(texts.values()) else None


def _values_by_name(value: Value) -> dict[str, object] | None:
    return value if isinstance(value, dict) and value and not not_json(value) else None


def _how(value: Value) -> Literal["hash", "redact"] | None:
    if value == "hash":
        return "hash"
    return "redact" if value == "redact" else None
