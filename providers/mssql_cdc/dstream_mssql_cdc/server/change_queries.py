"""The queries that the stream repeats: how far capture is, which tables have rows, and the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dstream_mssql_cdc.catalog.columns import milliseconds
from dstream_mssql_cdc.catalog.instances import Watermark
from dstream_mssql_cdc.catalog.tables import watermark
from dstream_mssql_cdc.position import Floor
from dstream_mssql_cdc.records.events import CONTROL_COLUMNS, EventBuilder
from dstream_mssql_cdc.server import sql
from dstream_mssql_cdc.server.session import SqlSession
from dstream_mssql_cdc.stream.source import Page, Poll, Probe
from dstream_mssql_cdc.stream.window import Mapped


class ChangeQueries:
    """The part of CdcSource that reads changes. `operations`: the values of `__$operation` to read."""

    def __init__(self, session: SqlSession, operations: Sequence[int]) -> None:
        self._session = session
        self._operations = operations
        self._zone: str | None = None
        """The expression for the server's time zone, if it is known."""

    def poll(self, from_lsn: bytes, limit: int) -> Poll:
        with self._session.results(sql.poll(self._zone), limit, from_lsn) as results:
            max_lsn, now, updateability = results.rows()[0]
            mapped = [
                Mapped(lsn, tran_id, milliseconds(ended), _offset_text(minutes))
                for lsn, tran_id, ended, minutes in results.next_rows()
            ]
            return Poll(max_lsn, now, mapped, _marks(results.next_rows()), updateability == "READ_ONLY")

    def probe(self, instances: Sequence[str], from_lsn: bytes, upper: bytes) -> Probe:
        with self._session.results(sql.probe(instances), from_lsn, upper) as results:
            answers = [results.rows()]
            while results.has_next():
                answers.append(results.rows())
            *hits, marks = answers
            return Probe(frozenset(row[0] for rows in hits for row in rows), _marks(marks))

    def page(
        self, instance: str, builder: EventBuilder, floor: Floor, upper: bytes, max_rows: int, max_bytes: int
    ) -> Page:
        try:
            return self._page(instance, builder, floor, upper, max_rows, max_bytes)
        except UnicodeDecodeError:
            with self._session.accepting_half_pairs():
                page = self._page(instance, builder, floor, upper, max_rows, max_bytes)
        return replace(page, rows=self._session.without_half_pairs(page.rows, builder, CONTROL_COLUMNS))

    def _page(
        self, instance: str, builder: EventBuilder, floor: Floor, upper: bytes, max_rows: int, max_bytes: int
    ) -> Page:
        select_list = builder.select_list(sql.quoted)
        table = builder.shape.object_id
        statement, parameters = sql.page(instance, table, select_list, floor, upper, self._operations, max_rows)
        with self._session.results(statement, *parameters) as results:
            rows, is_cut = results.limited_rows(builder, max_rows, max_bytes)
            stage = floor.wider()
            while stage is not None and len(rows) < max_rows and not is_cut:
                results.has_next()
                free_bytes = max_bytes - len(rows) * builder.row_bytes
                more, is_cut = results.limited_rows(builder, max_rows - len(rows), free_bytes)
                rows += more
                stage = stage.wider()
            if not is_cut:
                return Page(rows, len(rows) >= max_rows, _marks(results.next_rows()))
        with self._session.results(sql.WATERMARKS_OF_TABLE, table) as results:
            return Page(rows, is_full=True, marks=_marks(results.rows()))


def _marks(rows: Sequence[Any]) -> list[Watermark]:
    return [watermark(row) for row in rows]


def _offset_text(minutes: int | None) -> str:
    """An offset from UTC as in ISO 8601; empty if it is unknown."""
    if minutes is None:
        return ""
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"
