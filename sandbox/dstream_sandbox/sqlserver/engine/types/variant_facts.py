"""What SQL_VARIANT_PROPERTY reports about a base type: precision, scale, bytes ("SQL_VARIANT_PROPERTY", Return
types)."""

from __future__ import annotations

from dstream_sandbox.sqlserver.engine.catalog.type_ids import TYPE_IDS
from dstream_sandbox.sqlserver.values import SqlType

_PRECISIONS = {
    "datetime": 23, "smalldatetime": 16, "float": 53, "real": 24, "money": 19, "smallmoney": 10,
    "bigint": 19, "int": 10, "smallint": 5, "tinyint": 3, "bit": 1,
}  # fmt: skip
_SCALES = {"money": 4, "smallmoney": 4, "datetime": 3}
_DECIMAL_BYTES = ((9, 5), (19, 9), (28, 13), (38, 17))


def variant_fact(base: SqlType, wanted: str) -> int | None:
    """Return Precision, Scale or MaxLength; None for an unknown property."""
    if wanted == "precision":
        return base.precision or _PRECISIONS.get(base.name, 0)
    if wanted == "scale":
        return base.scale if base.scale is not None else _SCALES.get(base.name, 0)
    if wanted == "maxlength":
        return _bytes(base)
    return None


def _bytes(base: SqlType) -> int:
    if base.name in ("decimal", "numeric"):
        return next(size for digits, size in _DECIMAL_BYTES if (base.precision or 18) <= digits)
    if base.length is not None and base.length > 0:
        return 2 * base.length if base.name in ("nchar", "nvarchar") else base.length
    return TYPE_IDS[base.name][2]
