"""ODBC's view of each SQL Server type: the rows of sp_datatype_info_100, and sizes as the column catalog reports them.

Sources: Microsoft Learn, "sp_datatype_info", "sp_columns", "ODBC: Column Size, Decimal Digits, Transfer Octet Length".
"""

from __future__ import annotations

from dataclasses import dataclass

_TIMESTAMP = 93
_DATE = 91
_ODBC_2_TIMESTAMP = 11
_SQL_DATETIME = 9


@dataclass(frozen=True, slots=True)
class OdbcType:
    """One row of sp_datatype_info_100; the fields are named after its columns."""

    type_name: str
    data_type: int
    precision: int
    literal_prefix: str | None = None
    literal_suffix: str | None = None
    create_params: str | None = None
    nullable: int = 1
    case_sensitive: int = 0
    searchable: int = 2
    unsigned_attribute: int | None = None
    money: int = 0
    auto_increment: int | None = None
    minimum_scale: int | None = None
    maximum_scale: int | None = None
    datetime_sub: int | None = None
    radix: int | None = None
    user_type: int = 0

    @property
    def sql_data_type(self) -> int:
        """SQL_DATETIME for the standard date types, whose subtype is in SQL_DATETIME_SUB."""
        return _SQL_DATETIME if self.data_type in (_DATE, _TIMESTAMP) else self.data_type


def _number(
    name: str, code: int, precision: int, user_type: int, *, unsigned: int = 0, identity: bool = False, radix: int = 10
) -> OdbcType:
    return OdbcType(
        name,
        code,
        precision,
        nullable=0 if identity else 1,
        unsigned_attribute=unsigned,
        auto_increment=int(identity),
        minimum_scale=0,
        maximum_scale=0,
        radix=radix,
        user_type=user_type,
    )


def _exact(name: str, code: int, user_type: int, *, identity: bool = False) -> OdbcType:
    return OdbcType(
        name,
        code,
        38,
        create_params="precision" if identity else "precision,scale",
        nullable=0 if identity else 1,
        unsigned_attribute=0,
        auto_increment=int(identity),
        minimum_scale=0,
        maximum_scale=0 if identity else 38,
        radix=10,
        user_type=user_type,
    )


def _money(name: str, precision: int, user_type: int) -> OdbcType:
    return OdbcType(
        name,
        3,
        precision,
        literal_prefix="$",
        unsigned_attribute=0,
        money=1,
        auto_increment=0,
        minimum_scale=4,
        maximum_scale=4,
        radix=10,
        user_type=user_type,
    )


def _approximate(name: str, code: int, precision: int, user_type: int) -> OdbcType:
    return OdbcType(name, code, precision, unsigned_attribute=0, auto_increment=0, radix=2, user_type=user_type)


def _text(
    name: str,
    code: int,
    length: int,
    user_type: int,
    *,
    params: str | None = None,
    searchable: int = 3,
    nullable: int = 1,
    prefix: str = "'",
) -> OdbcType:
    return OdbcType(
        name, code, length, prefix, "'", params, nullable=nullable, searchable=searchable, user_type=user_type
    )


def _binary(
    name: str,
    code: int,
    length: int,
    user_type: int,
    *,
    params: str | None = None,
    searchable: int = 2,
    nullable: int = 1,
) -> OdbcType:
    return OdbcType(
        name, code, length, "0x", None, params, nullable=nullable, searchable=searchable, user_type=user_type
    )


def _moment(
    name: str,
    code: int,
    precision: int,
    user_type: int,
    *,
    scales: tuple[int | None, int | None],
    sub: int | None = None,
    params: str | None = None,
) -> OdbcType:
    return OdbcType(
        name,
        code,
        precision,
        "'",
        "'",
        params,
        searchable=3,
        minimum_scale=scales[0],
        maximum_scale=scales[1],
        datetime_sub=sub,
        user_type=user_type,
    )


ODBC_TYPES: tuple[OdbcType, ...] = (
    _moment("datetimeoffset", -155, 34, 0, scales=(0, 7), sub=0, params="scale"),
    _moment("time", -154, 16, 0, scales=(0, 7), sub=0, params="scale"),
    _text("xml", -152, 0, 0, searchable=0, prefix="N'"),
    OdbcType("sql_variant", -150, 8000, minimum_scale=0, maximum_scale=0, radix=10, user_type=39),
    OdbcType("uniqueidentifier", -11, 36, "'", "'", user_type=37),
    _text("ntext", -10, 1073741823, 0, searchable=1, prefix="N'"),
    _text("nvarchar", -9, 4000, 0, params="max length", prefix="N'"),
    _text("sysname", -9, 128, 18, nullable=0, prefix="N'"),
    _text("nchar", -8, 4000, 0, params="length", prefix="N'"),
    OdbcType("bit", -7, 1, minimum_scale=0, maximum_scale=0, user_type=16),
    _number("tinyint", -6, 3, 5, unsigned=1),
    _number("tinyint identity", -6, 3, 5, unsigned=1, identity=True),
    _number("bigint", -5, 19, 0),
    _number("bigint identity", -5, 19, 0, identity=True),
    _binary("image", -4, 2147483647, 20, searchable=0),
    _binary("varbinary", -3, 8000, 4, params="max length"),
    _binary("binary", -2, 8000, 3, params="length"),
    _binary("timestamp", -2, 8, 80, nullable=0),
    _text("text", -1, 2147483647, 19, searchable=1),
    _text("char", 1, 8000, 1, params="length"),
    _exact("numeric", 2, 10),
    _exact("numeric() identity", 2, 10, identity=True),
    _exact("decimal", 3, 24),
    _money("money", 19, 11),
    _money("smallmoney", 10, 21),
    _exact("decimal() identity", 3, 24, identity=True),
    _number("int", 4, 10, 7),
    _number("int identity", 4, 10, 7, identity=True),
    _number("smallint", 5, 5, 6),
    _number("smallint identity", 5, 5, 6, identity=True),
    _approximate("float", 6, 53, 8),
    _approximate("real", 7, 24, 23),
    _text("varchar", 12, 8000, 2, params="max length"),
    _moment("date", _DATE, 10, 0, scales=(None, 0), sub=1),
    _moment("datetime2", _TIMESTAMP, 27, 0, scales=(0, 7), sub=3, params="scale"),
    _moment("datetime", _TIMESTAMP, 23, 12, scales=(3, 3), sub=3),
    _moment("smalldatetime", _TIMESTAMP, 16, 22, scales=(0, 0), sub=3),
)
"""In the order the procedure returns: by DATA_TYPE, AUTO_INCREMENT, MONEY, USERTYPE."""

ODBC_TYPES_BY_NAME = {odbc_type.type_name: odbc_type for odbc_type in ODBC_TYPES}


def data_type_for(odbc_type: OdbcType, odbc_version: int) -> int:
    """Return a type's ODBC code; ODBC 2 has its own code for a date with a time."""
    return _ODBC_2_TIMESTAMP if odbc_version < 3 and odbc_type.data_type == _TIMESTAMP else odbc_type.data_type
