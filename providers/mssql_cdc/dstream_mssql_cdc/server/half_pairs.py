"""Text with half of a surrogate pair, which SQL Server stores and UTF-8 has no form for.

nvarchar counts UTF-16 code units ("Collation and Unicode support"), so LEFT or a short column can cut an emoji in two.
pyodbc raises UnicodeDecodeError for the rest. Such a page is read again with converters that keep the halves, which are
then replaced by U+FFFD. Other pages have no extra cost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyodbc

_HALF = re.compile("[\ud800-\udfff]")
REPLACEMENT = "\ufffd"


@contextmanager
def accepted(connection: pyodbc.Connection) -> Iterator[None]:
    """Let `connection` return halves as lone surrogates."""
    import pyodbc

    types = (pyodbc.SQL_WCHAR, pyodbc.SQL_WVARCHAR, pyodbc.SQL_WLONGVARCHAR)
    for kind in types:
        connection.add_output_converter(kind, _decoded)
    try:
        yield
    finally:
        for kind in types:
            connection.remove_output_converter(kind)


def _decoded(units: bytes | None) -> str | None:
    return None if units is None else units.decode("utf-16-le", "surrogatepass")


def replaced(row: Sequence[Any]) -> tuple[list[Any], list[int]]:
    """The row with U+FFFD for each half, and the indexes of the values that had one."""
    values = list(row)
    found = [at for at, value in enumerate(values) if value.__class__ is str and _HALF.search(value)]
    for at in found:
        values[at] = _HALF.sub(REPLACEMENT, values[at])
    return values, found
