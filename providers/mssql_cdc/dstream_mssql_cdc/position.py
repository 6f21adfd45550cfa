"""A reader's place in the log: the order of change rows, and where reading a table resumes.

The order is `(__$start_lsn, __$command_id, __$seqval, __$operation)`, the key of a change table's clustered index.
Microsoft's page "cdc.<capture_instance>_CT" says of `__$seqval`: "Should not be used for ordering. Instead, use the
__$command_id column"; the command id alone is not unique either, so all four parts count. Rows of several tables that
are equal in all four are ordered by the source table's object id.
"""

from __future__ import annotations

import re
from typing import NamedTuple

LSN_BYTES = 10
ZERO_LSN = bytes(LSN_BYTES)
NO_COMMAND_ID = -1
"""Replaces a NULL `__$command_id`, found in rows captured before the column was added to their table. NULL sorts
first."""

DELETE, INSERT, UPDATE_BEFORE, UPDATE_AFTER = 1, 2, 3, 4

_LSN_LIMIT: int = 2 ** (8 * LSN_BYTES) - 1
_LSN_TEXT = re.compile(r"(?:0x)?([0-9a-f]{20})|([0-9a-f]{8}):([0-9a-f]{8}):([0-9a-f]{4})", re.IGNORECASE)


class Position(NamedTuple):
    """The place after one event; positions are ordered. `operation` is never 3: the pair 3 and 4 is one event, at its
    4."""

    lsn: bytes
    command_id: int
    seqval: bytes
    operation: int
    object_id: int

    @classmethod
    def end_of(cls, lsn: bytes) -> Position:
        """After every row of the transactions up to and including `lsn`."""
        return cls(lsn, _MAX_INT, _MAX_LSN, 9, _MAX_INT)

    @classmethod
    def before(cls, lsn: bytes) -> Position:
        """Before every row of the transaction at `lsn`, after all older ones."""
        return cls.end_of(decrement_lsn(lsn))

    @property
    def is_border(self) -> bool:
        """Whether all of the transaction at `lsn` has been read."""
        return self.operation == 9

    @property
    def next_lsn(self) -> bytes:
        """The lowest LSN whose rows are still needed; cleanup must not have passed it."""
        return increment_lsn(self.lsn) if self.is_border else self.lsn


_MAX_INT = 2**31 - 1
_MAX_LSN = b"\xff" * LSN_BYTES


class Floor(NamedTuple):
    """Where a table's next page starts (exclusive), and the first of the ranges of the clustered index that it reads.

    There are three stages, one range each, since an OR over the leading columns would make the server read a long
    transaction from its start for every page: the rest of one command (all four set), the later commands of the
    transaction (`seqval` None), and the later transactions (`command_id` None).
    """

    lsn: bytes
    command_id: int | None = None
    seqval: bytes | None = None
    operation: int = 0

    def wider(self) -> Floor | None:
        """The next stage; None after the last one."""
        if self.seqval is not None:
            return Floor(self.lsn, self.command_id)
        if self.command_id is not None:
            return Floor(self.lsn)
        return None


def floor_of(position: Position, object_id: int, first_lsn: bytes) -> Floor:
    """Where to start reading table `object_id`, whose first LSN is `first_lsn`, to get every event after `position`."""
    if position.next_lsn < first_lsn:
        return Floor(decrement_lsn(first_lsn))
    if position.is_border:
        return Floor(position.lsn)
    operation = position.operation
    if object_id > position.object_id:
        # Ties are ordered by object id: this table's row with the same key comes later. An update starts at its row 3.
        operation = 2 if operation == UPDATE_AFTER else operation - 1
    return Floor(position.lsn, position.command_id, position.seqval, operation)


def increment_lsn(lsn: bytes) -> bytes:
    """The next LSN, like sys.fn_cdc_increment_lsn: an 80-bit big-endian number."""
    return min(int.from_bytes(lsn) + 1, _LSN_LIMIT).to_bytes(LSN_BYTES)


def decrement_lsn(lsn: bytes) -> bytes:
    """The previous LSN, like sys.fn_cdc_decrement_lsn; zero stays zero."""
    return max(int.from_bytes(lsn) - 1, 0).to_bytes(LSN_BYTES)


def lsn_of_number(number: int) -> bytes:
    """The LSN that a system view shows as numeric(25,0): ten digits for the log file, ten for the block, five for the
    record."""
    file, rest = divmod(number, 10**15)
    block, record = divmod(rest, 10**5)
    return file.to_bytes(4) + block.to_bytes(4) + record.to_bytes(2)


def parse_lsn(text: str) -> bytes | None:
    """Parse an LSN written as 20 hex digits, with or without 0x, or as `0000002a:00000018:0022`; None if invalid."""
    match = _LSN_TEXT.fullmatch(text.strip())
    return bytes.fromhex(match[1] or match[2] + match[3] + match[4]) if match else None
