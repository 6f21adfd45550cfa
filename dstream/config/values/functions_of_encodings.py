"""Functions that encode, decode and hash text. Names and behavior follow Terraform."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote_plus

from dstream.config.values.function_table import CallFailed, Function
from dstream.config.values.values import NotConvertible, Value, to_json, to_number

_NAMESPACES = {
    "dns": uuid.NAMESPACE_DNS,
    "url": uuid.NAMESPACE_URL,
    "oid": uuid.NAMESPACE_OID,
    "x500": uuid.NAMESPACE_X500,
}
_CSV_FIELD = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|\Z)')


def _base64decode(text: str) -> str:
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True).decode()
    except (binascii.Error, ValueError):
        raise CallFailed("not valid base64 of UTF-8 text", 0) from None


def _base64encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _jsondecode(text: str) -> Any:
    try:
        return json.loads(text, parse_float=to_number, parse_int=to_number, parse_constant=_no_json_constant)
    except NotConvertible:
        raise CallFailed("a number in it is too large", 0) from None
    except (json.JSONDecodeError, RecursionError):
        raise CallFailed("not valid JSON", 0) from None


def _no_json_constant(text: str) -> Any:
    raise CallFailed(f"{text} is not valid JSON", 0)


def _yamldecode(text: str) -> Value:
    from dstream.config.values.yaml import NotYaml, decode

    try:
        return decode(text)
    except NotYaml as error:
        raise CallFailed(f"not valid YAML: {error}", 0) from None


def _csvdecode(text: str) -> list[dict[str, str]]:
    """Return an object per line, with the names of the first line. RFC 4180."""
    names, *rows = list(_csv_rows(text)) or [[]]
    if not names:
        raise CallFailed("the first line must have the names of the columns", 0)
    if len(set(names)) < len(names):
        raise CallFailed("two columns have the same name", 0)
    wrong = next((number for number, row in enumerate(rows) if len(row) != len(names)), None)
    if wrong is not None:
        raise CallFailed(f"row {wrong + 1} has {len(rows[wrong])} fields, not {len(names)}", 0)
    return [dict(zip(names, row, strict=True)) for row in rows]


def _csv_rows(text: str) -> Iterator[list[str]]:
    """Yield the fields of each line that is not empty."""
    at, row = 0, list[str]()
    while at < len(text):
        field = _CSV_FIELD.match(text, at)
        if field is None:
            raise CallFailed(f"not valid CSV: misplaced quote in line {text.count(chr(10), 0, at) + 1}", 0)
        row.append(field[2] if field[1] is None else field[1].replace('""', '"').replace("\r\n", "\n"))
        at = field.end()
        if field[3] == "," and at < len(text):
            continue
        row += [""] if field[3] == "," else []
        if row != [""] or field[1] is not None:
            yield row
        row = []


def _hash(algorithm: str) -> Callable[[str], str]:
    return lambda text: hashlib.new(algorithm, text.encode(), usedforsecurity=False).hexdigest()


def _base64sha256(text: str) -> str:
    return _base64encode(hashlib.sha256(text.encode()).digest())


def _uuidv5(namespace: str, name: str) -> str:
    try:
        return str(uuid.uuid5(_NAMESPACES.get(namespace) or uuid.UUID(namespace), name))
    except ValueError:
        raise CallFailed("the namespace must be dns, url, oid, x500 or a UUID", 0) from None


FUNCTIONS_OF_ENCODINGS: dict[str, Function] = {
    "base64decode": Function(_base64decode, ("text",)),
    "base64encode": Function(lambda text: _base64encode(text.encode()), ("text",)),
    "base64sha256": Function(_base64sha256, ("text",)),
    "csvdecode": Function(_csvdecode, ("text",)),
    "jsondecode": Function(_jsondecode, ("text",)),
    "jsonencode": Function(to_json, ("any",)),
    "md5": Function(_hash("md5"), ("text",)),
    "sha1": Function(_hash("sha1"), ("text",)),
    "sha256": Function(_hash("sha256"), ("text",)),
    "sha512": Function(_hash("sha512"), ("text",)),
    "urlencode": Function(lambda text: quote_plus(text, safe=""), ("text",)),
    "uuidv5": Function(_uuidv5, ("text", "text")),
    "yamldecode": Function(_yamldecode, ("text",)),
}
