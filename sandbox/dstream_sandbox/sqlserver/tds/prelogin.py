"""PRELOGIN, [MS-TDS] 2.2.6.5: what both sides support, exchanged before the login."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

from dstream_sandbox.sqlserver.tds.byte_reader import ProtocolError

_OPTION = Struct(">BHH")
_VERSION = Struct(">BBHH")

_OPTION_VERSION = 0x00
_OPTION_ENCRYPTION = 0x01
_OPTION_INSTANCE = 0x02
_OPTION_THREAD_ID = 0x03
_OPTION_MARS = 0x04
_OPTION_FED_AUTH_REQUIRED = 0x06
_OPTION_NONCE = 0x07
_TERMINATOR = 0xFF

_FIRST_ODBC_MAJOR_VERSION = 9
"""Microsoft's ODBC and OLE DB drivers have versions 9 to 19; .NET's SqlClient has a lower one.

If the ODBC driver requests MARS and the answer is 0, it disconnects without giving a reason; it continues if the option
is missing (seen with 18.6). SqlClient needs the 0: without it, it assumes MARS (TdsParser.ConsumePreLoginHandshake).
"""

SERVER_VERSION = (16, 0, 4165)
"""SQL Server 2022: major, minor, build; same as the engine's SERVERPROPERTY('ProductVersion')."""


class Encryption(IntEnum):
    """[MS-TDS] 2.2.6.5, ENCRYPTION."""

    OFF = 0
    ON = 1
    NOT_SUPPORTED = 2
    REQUIRED = 3


@dataclass(frozen=True, slots=True)
class Prelogin:
    """What the client sent."""

    encryption: Encryption
    fed_auth: bytes | None
    """FEDAUTHREQUIRED: 1 if the client is able to log in with a token; None if it did not send the option."""
    nonce: bytes
    """NONCEOPT: 32 bytes that the login response repeats; empty if the client did not send the option."""
    asks_mars: bool
    major_version: int


def parse_prelogin(data: bytes) -> Prelogin:
    """Parse PRELOGIN. Raises ProtocolError if it is malformed."""
    options = _options(data)
    encryption = options.get(_OPTION_ENCRYPTION, b"\x02")
    try:
        level = Encryption(encryption[0] & 0x1F)  # 0x80 only announces a client certificate
    except (ValueError, IndexError) as error:
        raise ProtocolError("PRELOGIN has an unknown encryption level") from error
    version = options.get(_OPTION_VERSION, b"")
    asks_mars = options.get(_OPTION_MARS, b"\0") != b"\0"
    return Prelogin(
        level,
        options.get(_OPTION_FED_AUTH_REQUIRED),
        options.get(_OPTION_NONCE, b""),
        asks_mars,
        version[0] if version else 0,
    )


def agreed_encryption(client: Encryption) -> Encryption:
    """Return the server's answer, which follows the client. OFF means TLS for the login packet only."""
    return Encryption.ON if client is Encryption.REQUIRED else client


def prelogin_answer(client: Prelogin) -> bytes:
    """MARS is always refused. The client then continues without it and itself reports a second open result."""
    major, minor, build = SERVER_VERSION
    options = [
        (_OPTION_VERSION, _VERSION.pack(major, minor, build, 0)),
        (_OPTION_ENCRYPTION, bytes([agreed_encryption(client.encryption)])),
        (_OPTION_INSTANCE, b"\x00"),
        (_OPTION_THREAD_ID, b""),
    ]
    if not (client.asks_mars and client.major_version >= _FIRST_ODBC_MAJOR_VERSION):
        options.append((_OPTION_MARS, b"\x00"))
    if client.fed_auth is not None:
        options.append((_OPTION_FED_AUTH_REQUIRED, client.fed_auth))
    offset = len(options) * _OPTION.size + 1
    head, body = b"", b""
    for token, value in options:
        head += _OPTION.pack(token, offset + len(body), len(value))
        body += value
    return head + bytes([_TERMINATOR]) + body


def _options(data: bytes) -> dict[int, bytes]:
    options: dict[int, bytes] = {}
    position = 0
    while position < len(data) and data[position] != _TERMINATOR:
        if position + _OPTION.size > len(data):
            raise ProtocolError("PRELOGIN is truncated")
        token, offset, length = _OPTION.unpack_from(data, position)
        options[token] = data[offset : offset + length]
        position += _OPTION.size
    return options
