"""Log sequence numbers: 10 bytes, VLF (4), block (4), slot (2), in the order of a counter
(Microsoft Learn, "Log sequence number"; SQL Server prints them as 0000002a:00000018:0022)."""

from __future__ import annotations

_FIRST_VLF = 0x2A
_SLOTS = 255
_BLOCKS = 1 << 24
ZERO = bytes(10)
HIGHEST = b"\xff" * 10


def from_counter(number: int) -> bytes:
    """Return the LSN for a value of the engine's log counter; a higher number gives a higher LSN."""
    rest, slot = divmod(number, _SLOTS)
    vlf, block = divmod(rest, _BLOCKS)
    return (_FIRST_VLF + vlf).to_bytes(4, "big") + (16 + block * 8).to_bytes(4, "big") + (slot + 1).to_bytes(2, "big")


def moved(value: bytes, step: int) -> bytes:
    """fn_cdc_increment_lsn and fn_cdc_decrement_lsn: add or subtract one on 80 bits."""
    number = int.from_bytes(value, "big") + step
    return number.to_bytes(10, "big") if 0 <= number < 1 << 80 else value


def as_numeric(value: bytes) -> int:
    """Return the numeric(25,0) form used by the DMVs: vlf, block (10 digits), slot (5 digits)."""
    vlf, block, slot = (
        int.from_bytes(value[:4], "big"),
        int.from_bytes(value[4:8], "big"),
        int.from_bytes(value[8:], "big"),
    )
    return (vlf * 10**10 + block) * 10**5 + slot


def is_bit_set(position: int, mask: bytes) -> int:
    """sys.fn_cdc_is_bit_set: column 1 is the lowest bit of the LAST byte."""
    index = len(mask) - 1 - (position - 1) // 8
    if position < 1 or index < 0:
        return 0
    return mask[index] >> ((position - 1) % 8) & 1
