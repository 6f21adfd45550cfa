"""Detects a log that is not the one the position was read from. Pure except for its clock.

RESTORE (with KEEP_CDC on another server) and a forced failover of an availability group replace the end of the log: new
transactions get LSNs that the lost ones had. The position's transaction identifies the history, in this order:

1. cdc.lsn_time_mapping has the position's LSN with another tran_id: another history.
2. It does not have the LSN, although captured changes go further. Only cleanup removes mapping rows, and only those
   below the start_lsn of every capture instance ("sys.sp_cdc_cleanup_change_table": it first raises start_lsn). So if
   any instance starts at or before the position, its row was never there: another history. If all start later, `gaps`
   in instances.py reports the removed changes.
3. The last captured LSN is below the position. A readable secondary that lags, or one that the listener routed to
   instead of a more recent one, catches up: wait, since 1 or 2 then decides. A writable database does not lag behind
   itself: after a while, another history.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dstream.sdk.errors import RefusedError
from dstream_mssql_cdc.catalog.instances import Watermark
from dstream_mssql_cdc.stream.source import Poll
from dstream_mssql_cdc.stream.window import Mapped


class HistoryCheck:
    """Compares each poll with the position. One per run."""

    def __init__(self, clock: Callable[[], float], restored_after_s: float) -> None:
        self._clock = clock
        self._restored_after_s = restored_after_s
        self._ahead_since: float | None = None

    def check(self, poll: Poll, lsn: bytes, tran_id: str | None) -> bool:
        """Check the position `lsn`, whose transaction is `tran_id` if known. Return whether the database, a secondary,
        has just turned out to be behind it. Raises RefusedError for another history."""
        here = mapped_at(poll.mapped, lsn)
        if here and tran_id is not None and here.tran_id.hex() != tran_id:
            raise _restored(f"LSN {lsn.hex()} is transaction {here.tran_id.hex()}, but {tran_id} in the checkpoint")
        if poll.max_lsn is None:
            return False
        if poll.max_lsn >= lsn:
            self._ahead_since = None
            oldest = _oldest_start(poll.marks)
            if here is None and tran_id is not None and oldest is not None and oldest <= lsn:
                raise _restored(
                    f"cdc.lsn_time_mapping has no LSN {lsn.hex()}, the checkpoint's position, although the change "
                    f"tables reach from {oldest.hex()} to {poll.max_lsn.hex()}"
                )
            return False
        if any(mark.start_lsn is not None and mark.start_lsn >= lsn for mark in poll.marks):
            return False  # A snapshot of a table whose capture was just enabled starts above the last captured LSN.
        is_new, now = self._ahead_since is None, self._clock()
        self._ahead_since = now if self._ahead_since is None else self._ahead_since
        if poll.is_read_only:
            return is_new
        if now - self._ahead_since >= self._restored_after_s:
            raise _restored(
                f"the checkpoint's position {lsn.hex()} has been ahead of the last captured LSN "
                f"{poll.max_lsn.hex()} for {self._restored_after_s:.0f} s"
            )
        return False


def mapped_at(mapped: Sequence[Mapped], lsn: bytes) -> Mapped | None:
    """The mapping row of `lsn`; `mapped` begins at it or later."""
    return mapped[0] if mapped and mapped[0].lsn == lsn else None


def _oldest_start(marks: Sequence[Watermark]) -> bytes | None:
    return min((mark.start_lsn for mark in marks if mark.start_lsn is not None), default=None)


def _restored(what: str) -> RefusedError:
    return RefusedError(
        "mssql.restored",
        "this is not the database of the checkpoint, it was restored to an earlier point in time, or a forced failover "
        f"lost transactions: {what}",
        hint="Start over with `--reset --from POSITION`, or connect to the right database.",
        config_path="db_connection_string",
    )
