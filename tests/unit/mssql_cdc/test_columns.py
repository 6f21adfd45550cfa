"""Converts what pyodbc returns for each type to the documented JSON. The integration tests use the real driver."""

from __future__ import annotations

import json
import re
import struct
from datetime import date, datetime, time
from decimal import Context, Decimal
from typing import Any

import msgspec
import pytest
from dstream_mssql_cdc.catalog.columns import Choices, Column, form_of
from hypothesis import given, settings
from hypothesis import strategies as st

from dstream.sdk.errors import ConfigError

STANDARD = Choices()


def written(column: Column, value: Any, choices: Choices = STANDARD) -> str:
    form = form_of(column, choices)
    values = [value, None]
    converted = form.convert(values) if form.convert else values
    assert converted[1] is None
    return msgspec.json.encode(converted[0]).decode()


@pytest.mark.parametrize(
    ("kind", "scale", "value", "expected"),
    [
        ("bigint", 0, 2**63 - 1, "9223372036854775807"),
        ("bit", 0, True, "true"),
        ("decimal", 2, Decimal("12.50"), '"12.50"'),
        ("decimal", 6, Decimal("-0.000001"), '"-0.000001"'),
        ("decimal", 6, Decimal("0E-6"), '"0.000000"'),
        ("decimal", 7, Decimal("1E-7"), '"0.0000001"'),
        ("decimal", 10, Decimal("1E-10"), '"0.0000000001"'),
        ("numeric", 10, Decimal("0E-10"), '"0.0000000000"'),
        ("decimal", 0, Decimal("-99999999999999999999999999999999999999"), '"-99999999999999999999999999999999999999"'),
        ("money", 4, Decimal("-922337203685477.5808"), '"-922337203685477.5808"'),
        ("float", 0, 0.1, "0.1"),
        ("float", 0, 1e300, "1e300"),
        ("real", 0, 0.10000000149011612, "0.1"),
        ("real", 0, 16777216.0, "16777216.0"),
        ("nchar", 0, "a  ", '"a  "'),
        ("varbinary", 0, b"\x00\xff", '"AP8="'),
        ("timestamp", 0, bytes(6) + b"\x07\xd1", '"00000000000007d1"'),
        ("date", 0, date(1, 1, 1), '"0001-01-01"'),
        ("time", 0, time(23, 59, 59), '"23:59:59"'),
        ("time", 3, time(23, 59, 59, 120000), '"23:59:59.120"'),
        ("time", 7, "23:59:59.1234567", '"23:59:59.1234567"'),
        ("datetime2", 0, datetime(2024, 2, 29, 23, 59, 59), '"2024-02-29T23:59:59"'),
        ("datetime2", 6, datetime(9999, 12, 31, 23, 59, 59, 999999), '"9999-12-31T23:59:59.999999"'),
        ("datetime2", 3, datetime(2024, 2, 29), '"2024-02-29T00:00:00.000"'),
        ("datetime2", 7, "2024-02-29 23:59:59.1234567", '"2024-02-29T23:59:59.1234567"'),
        ("datetime", 3, datetime(2024, 2, 29, 23, 59, 59, 997000), '"2024-02-29T23:59:59.997"'),
        ("datetime", 3, datetime(2024, 2, 29, 23, 59, 59, 996666), '"2024-02-29T23:59:59.997"'),
        ("datetime", 3, datetime(2024, 2, 29, 23, 59, 59, 3333), '"2024-02-29T23:59:59.003"'),
        ("smalldatetime", 0, datetime(2024, 2, 29, 23, 59), '"2024-02-29T23:59:00"'),
        ("datetimeoffset", 7, "2024-02-29 23:59:59.1234567 +02:00", '"2024-02-29T23:59:59.1234567+02:00"'),
        ("datetimeoffset", 0, "2024-02-29 23:59:59 -11:30", '"2024-02-29T23:59:59-11:30"'),
        ("uniqueidentifier", 0, "6F9619FF-8B86-D011-B42D-00C04FC964FF", '"6F9619FF-8B86-D011-B42D-00C04FC964FF"'),
        ("xml", 0, "<a>é</a>", '"<a>é</a>"'),
        ("hierarchyid", 0, "/1/2/", '"/1/2/"'),
        ("geometry", 0, "4326;POINT (1 2 3)", '{"wkt":"POINT (1 2 3)","srid":4326}'),
        ("sql_variant", 0, "decimal|10|2|9|1.50", '{"type":"decimal(10,2)","value":"1.50"}'),
        ("sql_variant", 0, "int|10|0|4|7", '{"type":"int","value":7}'),
        ("sql_variant", 0, "bit|1|0|1|1", '{"type":"bit","value":true}'),
        ("sql_variant", 0, "nvarchar|0|0|20|a|b", '{"type":"nvarchar(10)","value":"a|b"}'),
        ("sql_variant", 0, "varbinary|0|0|8|00FF", '{"type":"varbinary(8)","value":"AP8="}'),
        ("sql_variant", 0, "date|10|0|3|2024-02-29", '{"type":"date","value":"2024-02-29"}'),
        ("sql_variant", 0, "time|0|0|5|01:02:03", '{"type":"time(0)","value":"01:02:03"}'),
        ("sql_variant", 0, "time|0|0|5|01:02:03.4500", '{"type":"time(4)","value":"01:02:03.4500"}'),
        ("sql_variant", 0, "real|24|0|4|3FB99999A0000000", '{"type":"real","value":0.1}'),
        ("sql_variant", 0, "float|53|0|8|3FB999999999999A", '{"type":"float","value":0.1}'),
    ],
)  # fmt: skip
def test_a_value_is_written_in_the_form_of_its_type(kind: str, scale: int, value: Any, expected: str) -> None:
    assert written(Column("c", kind, 1, scale=scale), value) == expected


@pytest.mark.parametrize("kind", ["datetime", "datetime2", "smalldatetime"])
def test_equal_times_in_a_row_are_written_like_others(kind: str) -> None:
    first, second = datetime(2024, 2, 29, 10, 0, 1), datetime(2024, 2, 29, 10, 0, 2)
    convert = form_of(Column("c", kind, 1), STANDARD).convert
    assert convert is not None
    one, two = convert([first])[0], convert([second])[0]
    assert convert([None, first, first, None, None, first, second]) == [None, one, one, None, None, one, two]


def test_decimals_and_binaries_can_be_numbers_and_hex() -> None:
    choices = Choices(decimal="number", binary="hex")
    assert written(Column("c", "decimal", 1, scale=10), Decimal("1E-10"), choices) == "0.0000000001"
    assert written(Column("c", "varbinary", 1), b"\x00\xff", choices) == '"00ff"'
    assert written(Column("c", "sql_variant", 1), "money|19|4|8|1.5000", choices) == '{"type":"money","value":1.5000}'


@settings(deadline=None)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_real_survives_a_round_trip(value: float) -> None:
    text = written(Column("c", "real", 1), value)
    assert struct.pack("<f", json.loads(text)) == struct.pack("<f", value)


@settings(deadline=None)
@given(st.integers(-(10**38) + 1, 10**38 - 1), st.integers(0, 38))
def test_a_decimal_keeps_every_digit_without_an_exponent(digits: int, scale: int) -> None:
    value = Decimal(digits).scaleb(-scale, Context(prec=38))
    text = json.loads(written(Column("c", "decimal", 1, scale=scale), value))
    whole = str(abs(digits)).rjust(scale + 1, "0")
    expected = f"{whole[:-scale]}.{whole[-scale:]}" if scale else whole
    assert text.removeprefix("-") == expected


def test_types_without_an_exact_driver_form_are_converted_by_the_server() -> None:
    selects = {
        kind: form_of(Column("c", kind, 1, scale=7), STANDARD).select("[c]")
        for kind in ("datetime2", "time", "datetimeoffset", "geometry", "hierarchyid")
    }
    assert selects == {
        "datetime2": "CONVERT(varchar(27), [c], 121)",
        "time": "CONVERT(varchar(16), [c], 121)",
        "datetimeoffset": "CONVERT(varchar(34), [c], 121)",
        "geometry": "CONVERT(nvarchar(11), [c].STSrid) + N';' + [c].AsTextZM()",
        "hierarchyid": "[c].ToString()",
    }


def test_a_float_in_a_variant_needs_no_style_that_older_servers_lack() -> None:
    """ "CAST and CONVERT", float and real styles: 3 exists since SQL Server 2016."""
    select = form_of(Column("c", "sql_variant", 1), STANDARD).select("[c]")
    assert set(re.findall(r", (\d+)\)", select)) == {"2", "121"}


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(ConfigError, match="vector"):
        form_of(Column("c", "vector", 1), STANDARD)
