"""The range of one round of reading: from the position to an LSN up to which capture is complete. Pure.

Microsoft, "About change data capture": a capture cycle commits its change rows and the rows of cdc.lsn_time_mapping in
one transaction, so at any moment all change tables are complete up to sys.fn_cdc_get_max_lsn().
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dstream_mssql_cdc.position import Position, decrement_lsn


class Mapped(NamedTuple):
    """A row of cdc.lsn_time_mapping. `commit_time` is in the server's local time; `utc_offset` is its offset, such as
    +01:00, or empty if it is unknown. Both are written to events."""

    lsn: bytes
    tran_id: bytes
    commit_time: str
    utc_offset: str = ""

    @property
    def is_idle(self) -> bool:
        """Written by capture while the database is idle: its tran_id is 0x00 (cdc.lsn_time_mapping)."""
        return not any(self.tran_id)


@dataclass(frozen=True, slots=True)
class Window:
    """The rows after the position up to `upper`. `oldest_commit`: the commit time of their first transaction; None if
    they are only capture's idle rows."""

    upper: bytes
    oldest_commit: str | None
    commit_times: dict[bytes, str] = field(default_factory=dict)
    tran_ids: dict[bytes, bytes] = field(default_factory=dict)


def next_window(
    position: Position,
    max_lsn: bytes | None,
    mapped: Sequence[Mapped],
    limit: int,
    switches: Iterable[bytes],
    recorded: bytes | None = None,
) -> Window | None:
    """The next window, or None if everything captured has been read. `mapped`: the first `limit` (at least 2) mapping
    rows from position.lsn on. `switches`: LSNs from which another capture instance of a table is read; no window
    crosses one, so that each table has one instance in it. `recorded`: the LSN at which the window must end, because it
    has been recorded; on a secondary that lags, None until its rows are there."""
    if max_lsn is None or max_lsn < max(position.next_lsn, recorded or position.next_lsn):
        return None
    max_lsn = recorded or max_lsn
    known = [row for row in mapped if row.lsn <= max_lsn]
    upper = known[-1].lsn if len(mapped) >= limit and known else max_lsn
    upper = min([upper, *(decrement_lsn(lsn) for lsn in switches if lsn > position.next_lsn)])
    known = [row for row in known if row.lsn <= upper]
    return Window(
        upper=upper,
        oldest_commit=next(
            (row.commit_time for row in known if not row.is_idle and row.lsn >= position.next_lsn), None
        ),
        commit_times={row.lsn: row.commit_time + row.utc_offset for row in known},
        tran_ids={row.lsn: row.tran_id for row in known},
    )
