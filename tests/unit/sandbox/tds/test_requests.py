"""Parses client requests: logins, calls, transaction requests and statements."""

from __future__ import annotations

import struct

import pytest
from dstream_sandbox.sqlserver.engine.version import PRODUCT_VERSION
from dstream_sandbox.sqlserver.session import Param, SqlError
from dstream_sandbox.sqlserver.tds.arguments import Arguments
from dstream_sandbox.sqlserver.tds.bulk_load import BulkInsert, parse_insert_bulk
from dstream_sandbox.sqlserver.tds.byte_reader import ByteReader, ProtocolError
from dstream_sandbox.sqlserver.tds.collations import codec_of, collation
from dstream_sandbox.sqlserver.tds.login import parse_login
from dstream_sandbox.sqlserver.tds.prelogin import SERVER_VERSION, Encryption, parse_prelogin, prelogin_answer
from dstream_sandbox.sqlserver.tds.prepared import PreparedStatements, statement
from dstream_sandbox.sqlserver.tds.replay import only_reads
from dstream_sandbox.sqlserver.tds.requests import (
    BeginRequest,
    EndRequest,
    RpcCall,
    read_calls,
    read_transaction_request,
)
from dstream_sandbox.sqlserver.values import MAX, SqlType

HEADERS = struct.pack("<IIHQI", 22, 18, 2, 0, 1)
INT_TYPE = b"\x26\x04"


def int_param(name: str, value: int, status: int = 0) -> bytes:
    return (
        bytes([len(name)]) + name.encode("utf-16-le") + bytes([status]) + INT_TYPE + b"\x04" + struct.pack("<i", value)
    )


def call(name: str, *params: bytes) -> bytes:
    return struct.pack("<H", len(name)) + name.encode("utf-16-le") + b"\0\0" + b"".join(params)


def read(data: bytes) -> list[RpcCall]:
    return list(read_calls(ByteReader(HEADERS + data)))


def test_several_calls_in_one_message_are_separated() -> None:
    data = call("p", int_param("@a", 1)) + b"\xff" + struct.pack("<HH", 0xFFFF, 12) + b"\0\0" + int_param("", 7, 1)
    assert read(data) == [
        RpcCall("p", [Param("@a", SqlType("int"), 1)]),
        RpcCall("sp_execute", [Param("", SqlType("int"), 7, is_output=True)]),
    ]


def test_a_long_value_can_arrive_in_chunks_of_unknown_total() -> None:
    pieces = struct.pack("<Q", 0xFFFFFFFFFFFFFFFE) + b"\x04\0\0\0a\0b\0" + b"\x02\0\0\0c\0" + b"\0\0\0\0"
    param = b"\x00\x00\xe7\xff\xff\x09\x04\xd0\x00\x34" + pieces
    assert read(call("p", param))[0].params == [Param("", SqlType("nvarchar", MAX), "abc")]


def test_chunks_that_do_not_add_up_are_a_protocol_error() -> None:
    pieces = struct.pack("<Q", 100) + b"\x02\0\0\0c\0" + b"\0\0\0\0"
    with pytest.raises(ProtocolError):
        read(call("p", b"\x00\x00\xe7\xff\xff\x09\x04\xd0\x00\x34" + pieces))


def test_a_table_valued_parameter_is_refused_with_a_message() -> None:
    with pytest.raises(SqlError, match="does not support table-valued parameters"):
        read(call("p", b"\x00\x00\xf3\x00"))


def test_a_default_parameter_is_omitted_if_possible() -> None:
    assert read(call("p", int_param("@a", 0, 2), int_param("@b", 5)))[0].params == [Param("@b", SqlType("int"), 5)]
    assert read(call("p", int_param("", 5), int_param("", 0, 2)))[0].params == [Param("", SqlType("int"), 5)]
    with pytest.raises(SqlError, match="default for positional parameter 1"):
        read(call("p", int_param("", 0, 2), int_param("", 5)))


def test_one_request_can_end_a_transaction_and_begin_the_next() -> None:
    data = HEADERS + struct.pack("<H", 7) + b"\x00" + b"\x01" + b"\x05" + b"\x04t\x001\x00"
    assert read_transaction_request(ByteReader(data)) == EndRequest(True, "", BeginRequest("t1", "SNAPSHOT"))


def test_a_distributed_transaction_is_refused_with_a_message() -> None:
    with pytest.raises(SqlError, match="distributed transactions"):
        read_transaction_request(ByteReader(HEADERS + b"\x00\x00"))


@pytest.mark.parametrize("cut", [0, 10, 40, 71])
def test_a_truncated_login_is_a_protocol_error(cut: int) -> None:
    with pytest.raises(ProtocolError):
        parse_login(b"\0" * cut)


def prelogin(version: int, mars: int, encryption: int = 1) -> bytes:
    head = struct.pack(">BHHBHHBHHB", 0, 16, 6, 1, 22, 1, 4, 23, 1, 0xFF)
    return head + bytes([version, 0, 0, 0, 0, 0, encryption, mars])


def mars_option(answer: bytes) -> bool:
    return 4 in (answer[position] for position in range(0, answer.index(b"\xff"), 5))


def test_mars_is_refused_in_the_form_each_client_understands() -> None:
    odbc, sql_client = parse_prelogin(prelogin(18, 1)), parse_prelogin(prelogin(5, 1))
    assert not mars_option(prelogin_answer(odbc))
    assert mars_option(prelogin_answer(sql_client))
    assert prelogin_answer(sql_client).endswith(b"\x00")
    assert mars_option(prelogin_answer(parse_prelogin(prelogin(18, 0))))


def test_encryption_follows_the_client() -> None:
    for asked, agreed in ((0, 0), (1, 1), (2, 2), (3, 1), (0x81, 1)):
        answer = prelogin_answer(parse_prelogin(prelogin(18, 0, asked)))
        offset = struct.unpack_from(">H", answer, 6)[0]
        assert answer[offset] == Encryption(agreed)


@pytest.mark.parametrize(
    ("name", "wire", "codec"),
    [
        (None, "0904d00034", "cp1252"),
        ("SQL_Latin1_General_CP1_CI_AS", "0904d00034", "cp1252"),
        ("Latin1_General_CS_AS", "0904c00000", "cp1252"),
        ("Latin1_General_100_CI_AS_SC_UTF8", "0904d02400", "utf-8"),
        ("Latin1_General_100_BIN2", "0904002200", "cp1252"),
        ("Cyrillic_General_CI_AS", "1904d00000", "cp1251"),
        ("Japanese_XJIS_140_CI_AS", "1104d03000", "cp932"),
    ],
)
def test_a_collation_has_five_wire_bytes_and_a_code_page(name: str | None, wire: str, codec: str) -> None:
    found = collation(name)
    assert (found.wire.hex(), found.codec, codec_of(found.wire)) == (wire, codec, codec)


def test_an_unknown_collation_is_error_448() -> None:
    with pytest.raises(SqlError, match="Invalid collation 'Klingon_CI_AS'"):
        collation("Klingon_CI_AS")


def test_declared_parameters_are_found_whatever_their_types() -> None:
    declared = statement("", "@P1 decimal(10, 2),\n @name nvarchar(max) output , @t [dbo].[type]")
    assert declared.names == ("@P1", "@name", "@t")
    assert [param.name for param in declared.bind([Param("", SqlType("int"), 1)])] == ["@P1"]
    with pytest.raises(SqlError, match="too many arguments"):
        declared.bind([Param("", SqlType("int"), 1)] * 4)


def test_an_unprepared_handle_is_error_8179() -> None:
    prepared = PreparedStatements()
    handle = prepared.prepare("SELECT 1", "")
    prepared.unprepare(handle)
    with pytest.raises(SqlError, match=f"handle {handle}"):
        prepared.get(handle)


def test_positional_arguments_come_before_named_ones() -> None:
    arguments = Arguments([Param("", SqlType("int"), 1), Param("@params", SqlType("int"), 2)])
    assert arguments.integer("@handle") == 1
    assert [param.value for param in arguments.rest()] == [2]
    named = Arguments([Param("@b", SqlType("int"), 2), Param("@a", SqlType("int"), 1)])
    assert (named.integer("@a"), named.integer("@b")) == (1, 2)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("insert bulk t(a int)", BulkInsert("t", ("a",), False)),
        (
            'INSERT BULK [my db]..[odd ]](name] ([a, b] decimal(10, 2), "c""d" nvarchar(5) COLLATE X) WITH (TABLOCK)',
            BulkInsert("[my db]..[odd ]](name]", ("a, b", 'c"d'), False),
        ),
        ("insert bulk dbo.t (a int) with (check_constraints)", BulkInsert("dbo.t", ("a",), True)),
        ("insert into bulk values (1)", None),
        ("select 'insert bulk t(a int)'", None),
    ],
)
def test_an_insert_bulk_is_recognized_with_its_columns(sql: str, expected: BulkInsert | None) -> None:
    assert parse_insert_bulk(sql) == expected


@pytest.mark.parametrize("sql", ["insert bulk t", "insert bulk t (a int", "insert bulk [t"])
def test_an_invalid_insert_bulk_is_a_syntax_error(sql: str) -> None:
    with pytest.raises(SqlError) as caught:
        parse_insert_bulk(sql)
    assert caught.value.number == 102


@pytest.mark.parametrize(
    ("sql", "reads"),
    [
        ("SELECT a FROM t", True),
        ("  with x as (select 1 a) select * from x", True),
        ("SELECT 'delete' AS [update] FROM t -- drop\n", True),
        ("DECLARE @n int = 1; SELECT TOP (@n) a FROM t; SET @n = @n - @@ROWCOUNT; IF @n > 0 SELECT a FROM u", True),
        ("DECLARE c CURSOR FOR SELECT a FROM t", False),
        ("SELECT 1; SET NOCOUNT ON", False),
        ("SELECT a INTO b FROM t", False),
        ("SELECT 1; DELETE FROM t", False),
        ("EXEC p", False),
        ("", False),
    ],
)
def test_only_reads_are_replayed(sql: str, reads: bool) -> None:
    assert only_reads(sql) is reads


def test_the_protocol_and_the_engine_report_the_same_version() -> None:
    assert PRODUCT_VERSION.startswith(".".join(map(str, SERVER_VERSION)) + ".")
