"""Client requests: SQL batches, RPC and transaction manager requests, [MS-TDS] 2.2.6.6, 2.2.6.7, 2.2.6.9."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dstream_sandbox.sqlserver.session import Param, SqlError
from dstream_sandbox.sqlserver.tds.byte_reader import ByteReader, ProtocolError
from dstream_sandbox.sqlserver.tds.decoding import read_type

_PROCEDURE_IDS = {
    1: "sp_cursor",
    2: "sp_cursoropen",
    3: "sp_cursorprepare",
    4: "sp_cursorexecute",
    5: "sp_cursorprepexec",
    6: "sp_cursorunprepare",
    7: "sp_cursorfetch",
    8: "sp_cursoroption",
    9: "sp_cursorclose",
    10: "sp_executesql",
    11: "sp_prepare",
    12: "sp_execute",
    13: "sp_prepexec",
    14: "sp_prepexecrpc",
    15: "sp_unprepare",
}
_BY_ID = 0xFFFF
_NEXT_CALL = (0xFF, 0x80)
_NO_EXEC = 0xFE
_BY_REFERENCE, _DEFAULT_VALUE, _ENCRYPTED = 0x01, 0x02, 0x08

_ISOLATION_LEVELS = {
    0: None,
    1: "READ UNCOMMITTED",
    2: "READ COMMITTED",
    3: "REPEATABLE READ",
    4: "SERIALIZABLE",
    5: "SNAPSHOT",
}
_COMMIT = 7


@dataclass(frozen=True, slots=True)
class RpcCall:
    """One procedure call as received."""

    procedure: str
    params: list[Param]


@dataclass(frozen=True, slots=True)
class BeginRequest:
    """Begin a transaction."""

    name: str
    isolation: str | None


@dataclass(frozen=True, slots=True)
class EndRequest:
    """Commit or roll back; `then` begins the next transaction immediately (fBeginXact)."""

    commits: bool
    name: str
    then: BeginRequest | None


@dataclass(frozen=True, slots=True)
class SaveRequest:
    """Set a savepoint."""

    name: str


TransactionRequest = BeginRequest | EndRequest | SaveRequest


def skip_headers(reader: ByteReader) -> None:
    """Skip ALL_HEADERS: query notifications, the transaction descriptor, tracing. None of them has an effect here."""
    total = reader.u32()
    if total < 4:
        raise ProtocolError("malformed ALL_HEADERS")
    reader.take(total - 4)


def read_batch(reader: ByteReader) -> str:
    """Return the text of a SQL batch."""
    skip_headers(reader)
    return reader.rest().decode("utf-16-le", "surrogatepass")


def read_calls(reader: ByteReader) -> Iterator[RpcCall]:
    """Yield the calls of an RPC message. Raises SqlError for an unsupported parameter."""
    skip_headers(reader)
    while not reader.at_end():
        name_length = reader.u16()
        procedure = _procedure_by_id(reader.u16()) if name_length == _BY_ID else reader.utf16(name_length)
        reader.u16()  # options: recompilation and metadata; metadata is always sent, which a client must accept
        yield RpcCall(procedure, _read_params(reader))


def read_transaction_request(reader: ByteReader) -> TransactionRequest:
    """Read a transaction manager request. Raises SqlError for distributed transactions."""
    skip_headers(reader)
    kind = reader.u16()
    match kind:
        case 5:
            return _read_begin(reader)
        case 7 | 8:
            name = _read_name(reader)
            begins = reader.u8() & 1
            return EndRequest(kind == _COMMIT, name, _read_begin(reader) if begins else None)
        case 9:
            return SaveRequest(_read_name(reader))
    raise SqlError(8501, "The sandbox does not support distributed transactions.")


def _procedure_by_id(number: int) -> str:
    name = _PROCEDURE_IDS.get(number)
    if name is None:
        raise ProtocolError(f"RPC with unknown procedure id {number}")
    return name


def _read_params(reader: ByteReader) -> list[Param]:
    params: list[Param] = []
    default_at = None
    while not reader.at_end():
        if reader.peek() in _NEXT_CALL or reader.peek() == _NO_EXEC:
            reader.u8()
            break
        name = reader.b_varchar()
        status = reader.u8()
        incoming = read_type(reader)
        value = incoming.read(reader)
        if status & _ENCRYPTED:
            raise SqlError(33294, "The sandbox does not support encrypted parameters (Always Encrypted).")
        if status & _DEFAULT_VALUE:
            default_at = len(params) if not name else default_at
            continue
        if not name and default_at is not None:
            raise SqlError(40000, f"The sandbox does not support a default for positional parameter {default_at + 1}.")
        params.append(Param(name, incoming.type, value, bool(status & _BY_REFERENCE)))
    return params


def _read_begin(reader: ByteReader) -> BeginRequest:
    level = reader.u8()
    if level not in _ISOLATION_LEVELS:
        raise ProtocolError(f"unknown isolation level {level}")
    return BeginRequest(_read_name(reader), _ISOLATION_LEVELS[level])


def _read_name(reader: ByteReader) -> str:
    # B_VARBYTE: counted in bytes, unlike a B_VARCHAR.
    return reader.take(reader.u8()).decode("utf-16-le", "surrogatepass")
