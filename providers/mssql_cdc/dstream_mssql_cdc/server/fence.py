"""Fixes the rows of a table and the LSN that separates them from later changes.

While the shared lock is held, no transaction has uncommitted changes of the table. Under the lock, a snapshot begins
and a log record is written. A transaction that changed the table earlier has a lower commit LSN than this record, and
is in the snapshot; one that changes it later has a higher LSN, and is not. How far capture has progressed does not
matter (github.com/MaterializeInc/materialize/pull/32979).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from dstream.sdk.errors import AuthError
from dstream_mssql_cdc import errors
from dstream_mssql_cdc.position import lsn_of_number
from dstream_mssql_cdc.server.session import SqlSession
from dstream_mssql_cdc.server.snapshot_queries import SnapshotQueries
from dstream_mssql_cdc.snapshot import statements


class FencedRows(SnapshotQueries):
    """A Fence: reads in the transaction that sees the rows as of `lsn`."""

    def __init__(self, session: SqlSession, lsn: bytes) -> None:
        super().__init__(session)
        self.lsn = lsn


@contextmanager
def fenced_rows(open_session: Callable[[], SqlSession], table: str) -> Iterator[FencedRows]:
    """Fence the quoted `table`, on connections of its own. Raises ReadInterrupted if the lock is not available in time,
    and ConfigError if the server does not show the LSN."""
    with closing(open_session()) as reading:
        with closing(open_session()) as locking:
            locking.run(statements.lock(table))
            reading.run(statements.PIN)
            with reading.results(statements.SAVEPOINT_LSN) as results:
                rows = results.rows()
            locking.run(statements.UNLOCK)
        if len(rows) != 1:
            raise errors.no_fence("the server does not show the LSN of a savepoint", 'Set mode = "chunked".')
        yield FencedRows(reading, lsn_of_number(int(rows[0][0])))


def check_fence(session: SqlSession) -> None:
    """Raises AuthError or ConfigError if the database or the login does not allow fences."""
    with session.results(statements.ALLOWS_FENCE) as results:
        isolation, updateability = results.rows()[0]
    if updateability == "READ_ONLY":
        raise errors.no_fence("this is a readable secondary", 'Connect to the primary, or set mode = "chunked".')
    if isolation != 1:
        raise errors.no_fence(
            "the database does not allow snapshot isolation",
            'As db_owner:\n    ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON;\nOr set mode = "chunked".',
        )
    try:
        session.run(statements.SAVEPOINT_LSN)
    except AuthError as error:
        raise errors.no_fence_grant(error.message, session.login) from error
