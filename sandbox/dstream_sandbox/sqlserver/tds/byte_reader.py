"""Reads little-endian fields from a message whose bytes may still be arriving."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

_U16 = Struct("<H")
_U32 = Struct("<I")
_I32 = Struct("<i")
_U64 = Struct("<Q")


class ProtocolError(Exception):
    """The bytes are not TDS that the sandbox understands; the connection cannot continue."""


class ByteReader:
    """A cursor over bytes. `more` is called when more bytes are needed; it returns b"" at the end."""

    __slots__ = ("_data", "_more", "_position")

    def __init__(self, data: bytes = b"", more: Callable[[], bytes] | None = None) -> None:
        self._data = data
        self._position = 0
        self._more = more

    def at_end(self) -> bool:
        """Whether nothing is left; may wait for the next packet to find out."""
        while self._position >= len(self._data):
            if not self._fill():
                return True
        return False

    def take(self, count: int) -> bytes:
        """Read exactly `count` bytes."""
        end = self._position + count
        if end <= len(self._data):
            piece = self._data[self._position : end]
            self._position = end
            return piece
        return self._bytes_across_packets(count)

    def rest(self) -> bytes:
        """Read everything up to the end of the message."""
        parts = [self._data[self._position :]]
        while self._fill():
            parts.append(self._data)
        self._position = len(self._data)
        return b"".join(parts)

    def peek(self) -> int:
        """Return the next byte without consuming it."""
        if self.at_end():
            raise ProtocolError("the message is truncated")
        return self._data[self._position]

    def u8(self) -> int:
        position = self._position
        if position < len(self._data):
            self._position = position + 1
            return self._data[position]
        return self.take(1)[0]

    def u16(self) -> int:
        value: int = _U16.unpack(self.take(2))[0]
        return value

    def u32(self) -> int:
        value: int = _U32.unpack(self.take(4))[0]
        return value

    def i32(self) -> int:
        value: int = _I32.unpack(self.take(4))[0]
        return value

    def u64(self) -> int:
        value: int = _U64.unpack(self.take(8))[0]
        return value

    def utf16(self, characters: int) -> str:
        """Read `characters` UTF-16 code units."""
        return self.take(2 * characters).decode("utf-16-le", "surrogatepass")

    def b_varchar(self) -> str:
        """Read a string with a one-byte length, counted in characters."""
        return self.utf16(self.u8())

    def us_varchar(self) -> str:
        """Read a string with a two-byte length, counted in characters."""
        return self.utf16(self.u16())

    def _bytes_across_packets(self, count: int) -> bytes:
        parts = [self._data[self._position :]]
        missing = count - len(parts[0])
        while missing > 0:
            if not self._fill():
                raise ProtocolError("the message is truncated")
            part = self._data[:missing]
            parts.append(part)
            missing -= len(part)
            self._position = len(part)
        return b"".join(parts)

    def _fill(self) -> bool:
        data = self._more() if self._more else b""
        if not data:
            return False
        self._data = data
        self._position = 0
        return True
