"""What `TransformChain` keeps as it is, how it changes schema records, and the errors that it raises."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from dstream.protocol.transforms import (
    Comparison,
    DropColumns,
    FilterRows,
    FixedValue,
    FlattenColumns,
    MaskColumns,
    RenameColumns,
    RouteRows,
    RowField,
    SetColumns,
    Transform,
)
from dstream.sdk._transform.chain import TransformChain
from dstream.sdk.errors import DataError

LINE = b'{ "data" : {"Id":7, "Total":1.50,"Big":123456789012345678901234567890.10,"Deep":{"a" : [ 1 ]}},"more":[1.0],"metadata":{"TableName":"dbo.Orders","Id":"o/7"}}'


def apply(line: bytes, *transforms: Transform) -> bytes | None:
    return TransformChain(transforms).apply(line)


def error_of(line: bytes, *transforms: Transform) -> DataError:
    with pytest.raises(DataError) as caught:
        apply(line, *transforms)
    return caught.value


@pytest.mark.parametrize(
    "transform",
    [
        DropColumns(tables=["dbo.Other"], columns=["Id"]),
        DropColumns(columns=["No"]),
        RenameColumns(columns={"No": "Never"}),
        MaskColumns(columns=["No"], with_="redact"),
        FlattenColumns(columns=["Id"]),
        FilterRows(where=Comparison("==", RowField("data", ["Id"]), FixedValue(7))),
    ],
)
def test_a_line_that_no_transform_changes_keeps_its_bytes(transform: Transform) -> None:
    assert apply(LINE, transform) == LINE


def test_the_other_values_of_a_changed_line_keep_their_bytes() -> None:
    assert apply(LINE, RenameColumns(columns={"Id": "OrderId"})) == (
        b'{"data":{"OrderId":7,"Total":1.50,"Big":123456789012345678901234567890.10,"Deep":{"a" : [ 1 ]}},'
        b'"more":[1.0],"metadata":{"TableName":"dbo.Orders","Id":"o/7"}}'
    )


@pytest.mark.parametrize("value", ["a@b.c", "Ü", 'a"b', 1.5, True, {"a": [1]}])
def test_a_value_is_hashed_as_mssql_cdc_hashes_it(value: Any) -> None:
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    expected = hmac.new(b"key", text.encode(), hashlib.sha256).hexdigest()
    line = json.dumps({"data": {"x": value}}, separators=(",", ":")).encode()
    assert apply(line, MaskColumns(columns=["x"], with_="hash", hash_key="key")) == (
        b'{"data":{"x":"%s"}}' % expected.encode()
    )


@pytest.mark.parametrize(
    "line",
    [
        b"SECRET",
        b"[1]",
        b'{"data":"SECRET"}',
        b'{"data":null}',
        b'{"metadata":{"Id":"1"}}',
        b'{"data":{"SECRET":1},"metadata":[]}',
        b'{"data":{"SECRET":1},"metadata":{"Key":7}}',
        b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_a_line_that_is_not_a_row_is_an_error_without_its_content(line: bytes) -> None:
    error = error_of(line, DropColumns(columns=["Id"]))
    assert error.code == "transform.bad_line"
    assert "SECRET" not in error.message


def test_a_string_that_is_not_utf_8_is_an_error() -> None:
    line = b'{"data":{"x":"\xff"},"metadata":{}}'
    where = Comparison("==", RowField("data", ["x"]), FixedValue("a"))
    assert error_of(line, FilterRows(where=where)).code == "transform.bad_line"


def test_an_error_names_the_transform_and_the_row() -> None:
    drop = DropColumns(tables=["dbo.Orders"], columns=["Totl"])
    error = error_of(LINE, SetColumns(columns={"x": 1}), drop)
    assert error.message == 'a row has no column "Totl" (table dbo.Orders, id o/7)'
    assert error.config_path == "transform[1].columns"


@pytest.mark.parametrize("constant", [None, True, "text"])
def test_a_comparison_without_a_meaning_is_an_error_and_drops_nothing(constant: Any) -> None:
    where = Comparison(">", RowField("data", ["Id"]), FixedValue(constant))
    assert error_of(LINE, FilterRows(where=where)).code == "transform.bad_comparison"


def test_a_comparison_is_exact() -> None:
    big = RowField("data", ["Big"])
    for text, is_greater in [("123456789012345678901234567890.09", True), ("123456789012345678901234567890.10", False)]:
        done = apply(LINE, FilterRows(where=Comparison(">", big, FixedValue(text))))
        assert (done is not None) == is_greater


def test_a_route_replaces_the_field_of_an_earlier_route_but_none_of_the_input() -> None:
    first = RouteRows(field="Destination", value=[FixedValue("all")])
    second = RouteRows(field="Destination", value=[FixedValue("order-"), RowField("data", ["Id"])])
    done = apply(LINE, first, second)
    assert done is not None
    assert json.loads(done)["metadata"]["Destination"] == "order-7"
    assert error_of(LINE, RouteRows(field="Id", value=[FixedValue("1")])).code == "transform.field_taken"


SCHEMA = (
    b'{"data":{"columns":[{"name":"Id","type":"int"},{"name":"Email","type":"varchar(9)"}],"key":["Id"]},'
    b'"metadata":{"TableName":"dbo.People","OperationType":"Schema","Key":[],"Id":"s/1"}}'
)
PEOPLE = ["dbo.People"]


@pytest.mark.parametrize(
    ("transform", "columns", "key"),
    [
        (
            RenameColumns(tables=PEOPLE, columns={"Id": "PersonId"}),
            [("PersonId", "int"), ("Email", "varchar(9)")],
            "PersonId",
        ),
        (DropColumns(tables=PEOPLE, columns=["Email"]), [("Id", "int")], "Id"),
        (
            MaskColumns(tables=PEOPLE, columns=["Email"], with_="redact"),
            [("Id", "int"), ("Email", "varchar(9)", "redact")],
            "Id",
        ),
        (
            SetColumns(columns={"N": 1, "Email": "x"}),
            [("Id", "int"), ("Email", "nvarchar(max)"), ("N", "bigint")],
            "Id",
        ),
    ],
)
def test_a_schema_record_describes_the_transformed_rows(transform: Transform, columns: Any, key: str) -> None:
    done = apply(SCHEMA, transform)
    assert done is not None
    data = json.loads(done)["data"]
    assert [tuple(column.values()) for column in data["columns"]] == columns
    assert data["key"] == [key]


@pytest.mark.parametrize(
    "transform",
    [
        FilterRows(where=FixedValue(False)),
        FlattenColumns(),
        RouteRows(field="Destination", value=[RowField("data", ["Email"])]),
    ],
)
def test_a_schema_record_passes_what_needs_the_values_of_a_row(transform: Transform) -> None:
    assert apply(SCHEMA, transform) == SCHEMA


def test_a_misspelled_column_of_a_named_table_is_noticed_in_its_schema_record() -> None:
    error = error_of(SCHEMA, MaskColumns(tables=PEOPLE, columns=["Emial"], with_="redact"))
    assert error.code == "transform.column_missing"


@pytest.mark.parametrize(
    "transform",
    [
        DropColumns(columns=["Id"]),
        MaskColumns(columns=["Id"], with_="redact"),
        SetColumns(columns={"Id": 1}),
    ],
)
def test_a_column_of_the_key_is_refused_in_a_schema_record(transform: Transform) -> None:
    assert error_of(SCHEMA, transform).code == "transform.key_column"
