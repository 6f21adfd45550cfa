"""LOGIN7, [MS-TDS] 2.2.6.4: who logs in, to which database, and which features the client requests."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from dstream_sandbox.sqlserver.tds.byte_reader import ProtocolError

TDS_7_3 = 0x730A0003
TDS_7_3_B = 0x730B0003
TDS_7_4 = 0x74000004

FEATURE_SESSION_RECOVERY = 0x01
FEATURE_UTF8 = 0x0A
FEATURE_FED_AUTH = 0x02
_SECURITY_TOKEN = 0x01
_FEATURE_END = 0xFF

_FIXED = struct.Struct("<IIIIIIBBBBiI")
_SPAN = struct.Struct("<HH")
_U32 = struct.Struct("<I")
_TOKEN_START = 1 + _U32.size
_INTEGRATED_SECURITY = 0x80
_CHANGE_PASSWORD = 0x01
_EXTENSION = 0x10

# The order of the offset/length pairs after the fixed part.
_HOST, _USER, _PASSWORD, _APP, _SERVER, _EXTENSION_SPAN, _LIBRARY, _LANGUAGE, _DATABASE = range(9)


@dataclass(frozen=True, slots=True)
class Login:
    """The parts of LOGIN7 that matter here. `features`: the data of the features that the client requests, by id."""

    tds_version: int
    packet_bytes: int
    host: str
    user: str
    password: str
    app: str
    database: str
    features: Mapping[int, bytes]
    integrated: bool
    changes_password: bool

    @property
    def federated(self) -> bool:
        """Whether the client wants to log in with a Microsoft Entra ID token."""
        return FEATURE_FED_AUTH in self.features

    @property
    def token(self) -> str | None:
        """The token, if the client has one. Otherwise (library ADAL) it would ask where to get it.

        [MS-TDS] 2.2.6.4, FEDAUTH: a byte with the library in its upper seven bits, the length of the token, the token.
        """
        data = self.features[FEATURE_FED_AUTH]
        if len(data) < _TOKEN_START or data[0] >> 1 != _SECURITY_TOKEN:
            return None
        (length,) = _U32.unpack_from(data, 1)
        return data[_TOKEN_START : _TOKEN_START + length].decode("utf-16-le", "replace")


def parse_login(data: bytes) -> Login:
    """Parse LOGIN7. Raises ProtocolError if it is malformed."""
    if len(data) < _FIXED.size + 9 * _SPAN.size:
        raise ProtocolError("LOGIN7 is truncated")
    fixed = _FIXED.unpack_from(data)
    tds_version, packet_bytes = fixed[1], fixed[2]
    options2, options3 = fixed[7], fixed[9]
    return Login(
        tds_version=tds_version,
        packet_bytes=_agreed_packet_bytes(packet_bytes),
        host=_text(data, _HOST),
        user=_text(data, _USER),
        password=_password(data),
        app=_text(data, _APP),
        database=_text(data, _DATABASE),
        features=_features(data) if options3 & _EXTENSION else {},
        integrated=bool(options2 & _INTEGRATED_SECURITY),
        changes_password=bool(options3 & _CHANGE_PASSWORD),
    )


def _agreed_packet_bytes(asked: int) -> int:
    return min(max(asked, 512), 32767) if asked else 4096


def _span(data: bytes, index: int) -> tuple[int, int]:
    offset, length = _SPAN.unpack_from(data, _FIXED.size + index * _SPAN.size)
    return offset, length


def _raw(data: bytes, index: int) -> bytes:
    offset, characters = _span(data, index)
    raw = data[offset : offset + 2 * characters]
    if len(raw) != 2 * characters:
        raise ProtocolError("LOGIN7 is truncated")
    return raw


def _text(data: bytes, index: int) -> str:
    return _raw(data, index).decode("utf-16-le", "surrogatepass")


def _password(data: bytes) -> str:
    # [MS-TDS] 2.2.6.4: the halves of each byte are swapped, then XORed with 0xA5. Only TLS keeps it secret.
    plain = bytes(((byte ^ 0xA5) << 4 & 0xF0) | ((byte ^ 0xA5) >> 4) for byte in _raw(data, _PASSWORD))
    return plain.decode("utf-16-le", "surrogatepass")


def _features(data: bytes) -> dict[int, bytes]:
    offset, length = _span(data, _EXTENSION_SPAN)
    if length < _U32.size:
        return {}
    try:
        (position,) = _U32.unpack_from(data, offset)
        features = {}
        while data[position] != _FEATURE_END:
            (feature_bytes,) = _U32.unpack_from(data, position + 1)
            start = position + 1 + _U32.size
            features[data[position]] = data[start : start + feature_bytes]
            position = start + feature_bytes
    except (IndexError, struct.error) as error:
        raise ProtocolError("LOGIN7 has a malformed feature list") from error
    return features
