"""The tokens that carry no rows, [MS-TDS] 2.2.7."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from dstream_sandbox.sqlserver.session import Column, Message, OutputValue
from dstream_sandbox.sqlserver.tds.encoding import Encoding, b_varchar, encoding, us_varchar
from dstream_sandbox.sqlserver.tds.prelogin import SERVER_VERSION

SERVER_NAME = "SANDBOX"

DONE = 0xFD
DONE_IN_PROCEDURE = 0xFF
DONE_PROCEDURE = 0xFE

MORE = 0x01
HAS_ERROR = 0x02
HAS_COUNT = 0x10
ATTENTION_ACKNOWLEDGED = 0x20

COMMAND_NONE = 0x00
COMMAND_SELECT = 0xC1
COMMAND_UPDATE = 0xC5
"""The command of every statement other than SELECT that reports a count. Clients only check whether it changed rows."""

_ERROR, _INFO = 0xAA, 0xAB
_DONE = Struct("<BHHQ")
_MESSAGE_HEAD = Struct("<IBB")
_U16, _U32, _I32, _U64 = Struct("<H"), Struct("<I"), Struct("<i"), Struct("<Q")
_RETURN_VALUE_FLAGS = Struct("<BIH")
_MAX_MESSAGE_CHARACTERS = 8000
_LAST_INFO_SEVERITY = 10

_COLUMN_EXPRESSION, _COLUMN_HIDDEN = 0x04, 0x10
_NULLABLE, _UPDATEABLE_UNKNOWN, _IDENTITY, _COMPUTED = 0x01, 0x08, 0x10, 0x20


def done(kind: int, status: int = 0, command: int = COMMAND_NONE, count: int | None = None) -> bytes:
    """DONE, DONEINPROC or DONEPROC."""
    if count is not None:
        status |= HAS_COUNT
    return _DONE.pack(kind, status, command, count or 0)


def is_error(message: Message) -> bool:
    """Severity 11 and above is an error; below, it is information."""
    return message.severity > _LAST_INFO_SEVERITY


def message_token(message: Message) -> bytes:
    """ERROR or INFO, by severity."""
    body = (
        _MESSAGE_HEAD.pack(message.number & 0xFFFFFFFF, message.state & 0xFF, message.severity)
        + us_varchar(message.text[:_MAX_MESSAGE_CHARACTERS])
        + b_varchar(SERVER_NAME)
        + b_varchar(message.procedure)
        + _U32.pack(message.line)
    )
    return bytes([_ERROR if is_error(message) else _INFO]) + _U16.pack(len(body)) + body


def column_metadata(columns: Sequence[Column], encodings: Sequence[Encoding]) -> bytes:
    """COLMETADATA."""
    parts = [b"\x81", _U16.pack(len(columns))]
    for column, form in zip(columns, encodings, strict=True):
        parts += [_U32.pack(form.user_type), _U16.pack(_column_flags(column)), form.type_info]
        if form.has_table_name:
            parts.append(b"\x00")  # TableName in zero parts
        parts.append(b_varchar(column.name))
    return b"".join(parts)


def cursor_columns(count: int) -> bytes:
    """COLINFO of a cursor whose last column, the row status, is hidden from the application."""
    hidden = count - 1
    info = b"".join(
        bytes([number + 1, 0, _COLUMN_EXPRESSION | (_COLUMN_HIDDEN if number == hidden else 0)])
        for number in range(count)
    )
    return b"\xa5" + _U16.pack(len(info)) + info


def return_status(value: int) -> bytes:
    """RETURNSTATUS."""
    return b"\x79" + _I32.pack(value)


def return_value(ordinal: int, output: OutputValue) -> bytes:
    """RETURNVALUE: an output parameter."""
    form = encoding(output.type)
    cell = form.null if output.value is None else form.encode(output.value)
    return (
        b"\xac"
        + _U16.pack(ordinal)
        + b_varchar(output.name)
        + _RETURN_VALUE_FLAGS.pack(1, form.user_type, _NULLABLE)
        + form.type_info
        + cell
    )


def login_acknowledged(tds_version: int) -> bytes:
    """LOGINACK."""
    major, minor, build = SERVER_VERSION
    body = (
        b"\x01"
        + tds_version.to_bytes(4, "big")
        + b_varchar("Microsoft SQL Server")
        + bytes([major, minor])
        + build.to_bytes(2, "big")
    )
    return b"\xad" + _U16.pack(len(body)) + body


def features_acknowledged(features: Sequence[tuple[int, bytes]]) -> bytes:
    """FEATUREEXTACK: the features in force; all others are refused."""
    acks = b"".join(bytes([feature]) + _U32.pack(len(data)) + data for feature, data in features)
    return b"\xae" + acks + b"\xff"


def database_changed(new: str, old: str) -> bytes:
    """ENVCHANGE 1."""
    return _environment(1, b_varchar(new), b_varchar(old))


def language_changed(new: str) -> bytes:
    """ENVCHANGE 2."""
    return _environment(2, b_varchar(new), b"\0")


def packet_size_changed(new: int, old: int) -> bytes:
    """ENVCHANGE 4."""
    return _environment(4, b_varchar(str(new)), b_varchar(str(old)))


def collation_changed(new: bytes) -> bytes:
    """ENVCHANGE 7."""
    return _environment(7, _b_varbyte(new), b"\0")


def transaction_changed(kind: str, descriptor: int) -> bytes:
    """ENVCHANGE 8 (begin: the descriptor is new), 9 (commit) and 10 (rollback: it is the old one)."""
    raw = _b_varbyte(_U64.pack(descriptor))
    if kind == "begin":
        return _environment(8, raw, b"\0")
    return _environment(9 if kind == "commit" else 10, b"\0", raw)


def reset_acknowledged() -> bytes:
    """ENVCHANGE 18: the reset-connection flag took effect."""
    return _environment(18, b"\0", b"\0")


def _environment(kind: int, new: bytes, old: bytes) -> bytes:
    body = bytes([kind]) + new + old
    return b"\xe3" + _U16.pack(len(body)) + body


def _b_varbyte(raw: bytes) -> bytes:
    return bytes([len(raw)]) + raw


def _column_flags(column: Column) -> int:
    flags = _NULLABLE if column.nullable else 0
    if column.identity:
        return flags | _IDENTITY
    return flags | (_COMPUTED if column.computed else _UPDATEABLE_UNKNOWN)
