"""Type names as written in T-SQL, with their defaults and limits."""

from __future__ import annotations

from dstream_sandbox.sqlserver.half_pairs import text_of, units_of
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import MAX, SqlType

DEFAULT_COLLATION = "SQL_Latin1_General_CP1_CI_AS"

TINYINT, SMALLINT, INT, BIGINT = SqlType("tinyint"), SqlType("smallint"), SqlType("int"), SqlType("bigint")
BIT, FLOAT, REAL = SqlType("bit"), SqlType("float"), SqlType("real")
MONEY, SMALLMONEY = SqlType("money", None, 19, 4), SqlType("smallmoney", None, 10, 4)
DATE, DATETIME, SMALLDATETIME = SqlType("date"), SqlType("datetime"), SqlType("smalldatetime")
GUID, XML, VARIANT, ROWVERSION = (
    SqlType("uniqueidentifier"),
    SqlType("xml"),
    SqlType("sql_variant"),
    SqlType("rowversion"),
)
SYSNAME = SqlType("nvarchar", 128, collation=DEFAULT_COLLATION)
NVARCHAR_MAX, VARCHAR_MAX = (
    SqlType("nvarchar", MAX, collation=DEFAULT_COLLATION),
    SqlType("varchar", MAX, collation=DEFAULT_COLLATION),
)
VARBINARY_MAX = SqlType("varbinary", MAX)
DATETIME2 = SqlType("datetime2", scale=7)
DATETIMEOFFSET = SqlType("datetimeoffset", scale=7)
LSN = SqlType("binary", 10)

CHARACTER = frozenset({"char", "varchar", "nchar", "nvarchar", "text", "ntext"})
UNICODE = frozenset({"nchar", "nvarchar", "ntext"})
BINARY = frozenset({"binary", "varbinary", "image", "rowversion"})
INTEGERS = frozenset({"tinyint", "smallint", "int", "bigint"})
DECIMALS = frozenset({"decimal", "numeric"})
MONIES = frozenset({"money", "smallmoney"})
APPROXIMATE = frozenset({"float", "real"})
TICKS = frozenset({"datetime", "smalldatetime", "datetime2"})
TEMPORAL = TICKS | {"date", "time", "datetimeoffset"}
CLR = frozenset({"hierarchyid", "geometry", "geography"})
LEGACY_LOBS = frozenset({"text", "ntext", "image"})

_SIMPLE = {
    **{
        t.name: t for t in (TINYINT, SMALLINT, INT, BIGINT, BIT, REAL, MONEY, SMALLMONEY, DATE, DATETIME, SMALLDATETIME)
    },
    **{t.name: t for t in (GUID, XML, VARIANT, ROWVERSION)},
    "sysname": SYSNAME,
    "timestamp": ROWVERSION,
    "integer": INT,
    "text": SqlType("text", MAX, collation=DEFAULT_COLLATION),
    "ntext": SqlType("ntext", MAX, collation=DEFAULT_COLLATION),
    "image": SqlType("image", MAX),
    "hierarchyid": SqlType("hierarchyid", 892),
    "geometry": SqlType("geometry", MAX),
    "geography": SqlType("geography", MAX),
}
_SIZED = {"char": 8000, "varchar": 8000, "nchar": 4000, "nvarchar": 4000, "binary": 8000, "varbinary": 8000}
_SYNONYMS = {
    "character": "char",
    "dec": "decimal",
    "rowversion": "rowversion",
    "character varying": "varchar",
    "char varying": "varchar",
    "national character": "nchar",
    "national char": "nchar",
    "national character varying": "nvarchar",
    "national char varying": "nvarchar",
    "binary varying": "varbinary",
}


def is_lob(type_: SqlType) -> bool:
    """Whether the type is text, ntext, image, xml or a (max) type."""
    return type_.name in LEGACY_LOBS or type_.name == "xml" or type_.length == MAX


def text_units(text: str) -> int:
    """Return the length as nvarchar counts it: in UTF-16 code units."""
    if text.isascii() or max(text) < "\U00010000":
        return len(text)
    return len(units_of(text)) // 2


def cut_units(text: str, limit: int) -> str:
    """Return the first `limit` code units; the last one may be half of a surrogate pair."""
    return text if text_units(text) <= limit else text_of(units_of(text)[: 2 * limit])


def make_type(name: str, args: tuple[str, ...] = (), *, in_cast: bool = False) -> SqlType:
    """Return the type that `name(args)` declares. A missing length means 30 in CAST and 1 elsewhere (Microsoft Learn,
    "char and varchar (Transact-SQL)", Remarks). Raises 243 for an unknown type."""
    lowered = name.lower()
    lowered = _SYNONYMS.get(lowered, lowered)
    if lowered in _SIMPLE:
        return _SIMPLE[lowered]
    if lowered in _SIZED:
        return _sized(lowered, args, 30 if in_cast else 1)
    if lowered in DECIMALS:
        return _decimal(lowered, args)
    if lowered in ("time", "datetime2", "datetimeoffset"):
        return _fractional(lowered, args)
    if lowered == "float" or lowered == "double precision":
        return REAL if args and int(args[0]) <= 24 else FLOAT
    raise SqlError(243, f"Type {name} is not a defined system type.")


def _sized(name: str, args: tuple[str, ...], default: int) -> SqlType:
    collation = DEFAULT_COLLATION if name in CHARACTER else None
    if args and args[0].lower() == "max":
        if not name.startswith(("var", "nvar")):
            raise SqlError(102, "Incorrect syntax near 'max'.", severity=15)
        return SqlType(name, MAX, collation=collation)
    length = int(args[0]) if args else default
    if length < 1:
        raise SqlError(1001, "Line 1: Length or precision specification 0 is invalid.", severity=15)
    if length > _SIZED[name]:
        limit = _SIZED[name]
        given = f"The size ({length}) given to the type '{name}'"
        text = f"{given} exceeds the maximum allowed for any data type ({limit})."
        raise SqlError(131, text, severity=15)
    return SqlType(name, length, collation=collation)


def _decimal(name: str, args: tuple[str, ...]) -> SqlType:
    precision = int(args[0]) if args else 18
    scale = int(args[1]) if len(args) > 1 else 0
    if not 1 <= precision <= 38:
        raise SqlError(
            2750,
            f"Column, parameter, or variable #1: Specified column precision {precision} is greater than "
            "the maximum precision of 38.",
        )
    if scale > precision:
        raise SqlError(183, f"The scale ({scale}) for column must be within the range 0 to {precision}.", severity=15)
    return SqlType(name, None, precision, scale)


def _fractional(name: str, args: tuple[str, ...]) -> SqlType:
    scale = int(args[0]) if args else 7
    if not 0 <= scale <= 7:
        raise SqlError(1002, f"Line 1: Specified scale {scale} is invalid.", severity=15)
    return SqlType(name, scale=scale)


def declaration(type_: SqlType) -> str:
    """Return the type as written in a declaration: `decimal(10,2)`, `nvarchar(max)`, `datetime2(3)`."""
    name = "timestamp" if type_.name == "rowversion" else type_.name
    if type_.name in _SIZED:
        return f"{name}(max)" if type_.length == MAX else f"{name}({type_.length})"
    if type_.name in DECIMALS:
        return f"{name}({type_.precision},{type_.scale})"
    if type_.name in ("time", "datetime2", "datetimeoffset"):
        return f"{name}({type_.scale})"
    return name


def of_value(name: str, length: int) -> SqlType:
    """Return a character or binary type of that length, or (max) if it is too long."""
    collation = DEFAULT_COLLATION if name in CHARACTER else None
    return SqlType(
        name,
        length if 0 <= length <= _SIZED[name] and length else (MAX if length > 1 or length < 0 else 1),
        collation=collation,
    )
