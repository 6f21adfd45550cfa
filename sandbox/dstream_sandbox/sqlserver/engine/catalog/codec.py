"""Catalog entries as JSON, the form in which the database file stores them."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, is_dataclass
from typing import Any, TypeVar

from dstream_sandbox.sqlserver.engine.catalog.model import (
    Check,
    Column,
    DatabaseOptions,
    ForeignKey,
    Index,
    Principal,
    Procedure,
    Table,
    View,
)
from dstream_sandbox.sqlserver.values import SqlType

T = TypeVar("T")


def dump(entry: Any) -> str:
    """Serialize an instance of any class in model.py."""
    return json.dumps(_plain(entry))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {k: _plain(v) for k, v in asdict(value).items()}
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, set):
        return sorted(_plain(v) for v in value)
    return value


def load_table(text: str) -> Table:
    raw = json.loads(text)
    raw["columns"] = [_column(c) for c in raw["columns"]]
    raw["indexes"] = [_index(i) for i in raw["indexes"]]
    raw["checks"] = [Check(**c) for c in raw["checks"]]
    raw["foreign_keys"] = [
        ForeignKey(**{**f, "columns": tuple(f["columns"]), "references": tuple(f["references"])})
        for f in raw["foreign_keys"]
    ]
    return Table(**raw)


def _column(raw: dict[str, Any]) -> Column:
    raw["type"] = SqlType(**raw["type"])
    for name in ("identity", "default"):
        raw[name] = tuple(raw[name]) if raw[name] is not None else None
    return Column(**raw)


def _index(raw: dict[str, Any]) -> Index:
    raw["columns"] = tuple((c, d) for c, d in raw["columns"])
    raw["include"] = tuple(raw["include"])
    return Index(**raw)


def load_view(text: str) -> View:
    return View(**json.loads(text))


def load_procedure(text: str) -> Procedure:
    return Procedure(**json.loads(text))


def load_principal(text: str) -> Principal:
    raw = json.loads(text)
    raw["members"] = set(raw["members"])
    raw["grants"] = {tuple(g) for g in raw["grants"]}
    return Principal(**raw)


def load_options(text: str) -> DatabaseOptions:
    raw = json.loads(text)
    known = {f.name for f in fields(DatabaseOptions)}
    return DatabaseOptions(**{k: v for k, v in raw.items() if k in known})
