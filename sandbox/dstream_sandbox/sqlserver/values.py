"""SQL Server types and values as they pass between the wire (`tds/`) and the engine (`engine/`).

One Python form per SQL type, exact and ordered like the SQL type itself:

=========================================  ==========================================================
tinyint, smallint, int, bigint             int
bit                                        bool
decimal, numeric, money, smallmoney        decimal.Decimal with exactly the type's scale
float, real                                float (real: a value that a float32 holds)
char, varchar, nchar, nvarchar, text, ntext, xml   str
binary, varbinary, image, rowversion       bytes
date                                       int, days since 0001-01-01
time                                       int, 100 ns ticks since midnight
datetime, smalldatetime, datetime2         int, 100 ns ticks since 0001-01-01T00:00, in the type's precision
datetimeoffset                             DateTimeOffset
uniqueidentifier                           uuid.UUID
sql_variant                                Variant
hierarchyid, geometry, geography           bytes, the CLR serialization used on the wire
NULL                                       None
=========================================  ==========================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

MAX = -1
"""The length of varchar(max), nvarchar(max), varbinary(max)."""

TICKS_PER_SECOND = 10_000_000
TICKS_PER_DAY = 86_400 * TICKS_PER_SECOND


@dataclass(frozen=True, slots=True)
class SqlType:
    """A declared type. `length` is in characters for nchar/nvarchar, else in bytes; MAX for (max)."""

    name: str
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    collation: str | None = None


class DateTimeOffset(NamedTuple):
    """Ordered by instant: `utc_ticks` counts 100 ns since 0001-01-01T00:00Z."""

    utc_ticks: int
    offset_minutes: int


@dataclass(frozen=True, slots=True)
class Variant:
    """A sql_variant: the base type travels with the value."""

    type: SqlType
    value: Value


Value = None | int | bool | Decimal | float | str | bytes | UUID | DateTimeOffset | Variant
Row = tuple[Value, ...]
