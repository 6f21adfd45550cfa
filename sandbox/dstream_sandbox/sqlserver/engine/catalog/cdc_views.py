"""The dynamic management views of capture, and the sizes of tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dstream_sandbox.sqlserver.engine.catalog.object_views import partitions
from dstream_sandbox.sqlserver.engine.catalog.system_views import view
from dstream_sandbox.sqlserver.engine.types.rounding import to_datetime

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession

Row = tuple[Any, ...]
_NEEDS = "VIEW DATABASE PERFORMANCE STATE"
_ROWS_PER_PAGE = 40


@view(
    "sys.dm_cdc_log_scan_sessions",
    "session_id:i start_time:d end_time:d duration:i scan_phase:n error_count:i start_lsn:n "
    "current_lsn:n end_lsn:n tran_count:l "
    "last_commit_lsn:n last_commit_time:d log_record_count:l schema_change_count:i command_count:l "
    "first_begin_cdc_lsn:n last_commit_cdc_lsn:n "
    "last_commit_cdc_time:d latency:i empty_scan_count:i failed_sessions_count:i",
    needs=_NEEDS,
)
def dm_cdc_log_scan_sessions(session: SqlSession) -> Iterator[Row]:
    """One row: the scan that published what is now visible. A stopped job has run no scan since."""
    if not session.home.options.cdc_enabled:
        return
    from dstream_sandbox.sqlserver.engine.cdc.questions import max_lsn

    last = max_lsn(session)
    shown = _dashed(last) if last is not None else None
    if not session.engine.capture.is_running(session.home):
        return
    when = to_datetime(session.engine.capture.last_scan)
    yield (
        1,
        when,
        when,
        0,
        "Done",
        0,
        shown,
        shown,
        shown,
        0,
        shown,
        when,
        0,
        0,
        0,
        shown,
        shown,
        when,
        int(session.engine.capture.delay_s),
        0,
        0,
    )


def _dashed(value: bytes) -> str:
    text = value.hex().upper()
    return f"{text[:8]}:{text[8:16]}:{text[16:]}"


@view(
    "sys.dm_cdc_errors",
    "session_id:i phase_number:i entry_time:d error_number:i error_severity:i error_state:i "
    "error_message:x start_lsn:n begin_lsn:n sequence_value:n",
    needs=_NEEDS,
)
def dm_cdc_errors(session: SqlSession) -> Iterator[Row]:
    for error in session.engine.capture.errors.get(session.home.name, ()):
        yield 1, 7, to_datetime(error.at), error.number, 16, 1, error.message, "0", "0", "0"


@view(
    "sys.dm_db_partition_stats",
    "partition_id:l object_id:i index_id:i partition_number:i in_row_used_page_count:l used_page_count:l "
    "reserved_page_count:l row_count:l",
    needs=_NEEDS,
)
def dm_db_partition_stats(session: SqlSession) -> Iterator[Row]:
    """The rows are counted; the pages are estimated."""
    for partition_id, object_id, index_id, number, _, rows in partitions(session):
        pages = 1 + rows // _ROWS_PER_PAGE
        yield partition_id, object_id, index_id, number, pages, pages, pages, rows
