"""What ends with a procedure or a dynamic batch: its SET options and #tables (Microsoft Learn, "SET statements")."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.session import Event

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession


def scoped(session: SqlSession, events: Iterator[Event]) -> Iterator[Event]:
    """Yield the events inside a new scope."""
    settings, session.settings = session.settings, replace(session.settings)
    tables = set(session.temp_tables)
    try:
        yield from events
    finally:
        session.settings = settings
        for key in session.temp_tables.keys() - tables:
            session.drop_own_table(session.temp_tables.pop(key))
