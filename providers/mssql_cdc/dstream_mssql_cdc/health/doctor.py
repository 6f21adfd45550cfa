"""`dstream doctor`: asks the server one question after another, and goes on without those that it does not answer."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dstream.sdk import Finding, State
from dstream.sdk.errors import DStreamError
from dstream_mssql_cdc.capture import statements
from dstream_mssql_cdc.catalog import instances as watched
from dstream_mssql_cdc.catalog.instances import CapturedTable
from dstream_mssql_cdc.catalog.selection import not_accepted, selected
from dstream_mssql_cdc.catalog.table_changes import Followed, follow, still_selected
from dstream_mssql_cdc.config import Config
from dstream_mssql_cdc.errors import second_instance_hint
from dstream_mssql_cdc.health import checks, facts
from dstream_mssql_cdc.health.facts import Denied, Platform
from dstream_mssql_cdc.server.queries import SqlServer
from dstream_mssql_cdc.state import ReaderState, load_state
from dstream_mssql_cdc.stream.history import HistoryCheck
from dstream_mssql_cdc.stream.source import Poll

T = TypeVar("T")
_MOST_PROBLEMS = 5
"""Of one kind, so that hundreds of tables do not give hundreds of findings."""


@dataclass(frozen=True, slots=True)
class Examination:
    """`address`, `login`: as in the connection string. These raise a DStreamError: `check_columns` for columns of a
    table that cannot be read, `check_snapshots` if the login cannot take snapshots that the config asks for,
    `check_state` for a checkpoint of another database."""

    server: SqlServer
    config: Config
    address: str
    login: str
    check_columns: Callable[[CapturedTable], None]
    check_snapshots: Callable[[Sequence[CapturedTable]], None]
    check_state: Callable[[ReaderState], ReaderState]

    def findings(self, stored: State) -> Iterator[Finding]:
        where = facts.platform(self.server.rows)
        yield checks.server(where, self.address)
        yield checks.login(where)
        try:
            self.server.guid()
        except DStreamError as error:
            yield _failure("change data capture", error)
            return
        yield Finding("ok", "change data capture", f"enabled in {where.database}")
        try:
            catalog = self.server.catalog()
        except DStreamError as error:
            yield _failure("permissions", error)
            return
        config, exists = self.config, self.server.table_exists
        tables, found = selected(catalog, config.tables, config.exclude_tables, self.login, exists)
        problems = list(not_accepted(found, self.config.on_table_change, _known(stored)))
        if config.manage_capture_instances:
            yield checks.owner(bool(self.server.rows(statements.IS_OWNER)[0][0]), where)
            yield from map(checks.to_be_captured, filter(_is_not_captured, problems))
            problems = [problem for problem in problems if not _is_not_captured(problem)]
        yield from self._tables(tables, problems)
        yield from self._capture(where)
        yield from self._checkpoint(stored, where)

    def _tables(self, tables: Sequence[CapturedTable], problems: list[DStreamError]) -> Iterator[Finding]:
        if not problems:
            problems = [problem for table in tables for problem in _raised(self.check_columns, table)]
            problems += _raised(self.check_snapshots, tables)
        for problem in problems[:_MOST_PROBLEMS]:
            yield _failure("tables", problem)
        if more := problems[_MOST_PROBLEMS:]:
            yield Finding("failure", "tables", f"{len(more)} more problems of this kind", "Fix those above first.")
        if problems:
            return
        instances = sum(len(table.instances) for table in tables)
        text = f"{len(tables):,} captured and readable (capture instances: {instances:,})"
        yield Finding("ok", "tables", text)
        unordered = self.server.unordered()
        slow = (table for table in tables if table.instances[-1].mark.instance in unordered)
        for table in itertools.islice(slow, _MOST_PROBLEMS):
            instance = table.instances[-1].mark.instance
            text = f"cdc.{instance}_CT is not in reading order, so every page is sorted"
            yield Finding("warning", "tables", text, second_instance_hint(table.name, instance))
        for table in itertools.islice((table for table in tables if table.uncaptured), _MOST_PROBLEMS):
            text = f"no capture instance of {table.name} has {', '.join(table.uncaptured)}"
            older = next((one.mark.instance for one in table.instances if one is not table.newest), None)
            yield Finding(
                "warning", "columns", text, second_instance_hint(table.name, table.newest.mark.instance, older)
            )

    def _capture(self, where: Platform) -> Iterator[Finding]:
        query = self.server.rows
        if where.is_read_only:
            yield Finding("ok", "capture", "runs on the primary; to check it, connect to the primary")
            return
        if where.has_agent_service:
            yield from checks.agent(facts.attempt(lambda: facts.agent_status(query)), where)
        yield from checks.jobs(facts.attempt(lambda: facts.jobs(query, where)), where)
        found = facts.attempt(lambda: (facts.capture_errors(query), facts.latency_s(query), facts.sizes(query)))
        if isinstance(found, Denied):
            yield checks.state_denied(found, where)
            return
        errors, latency_s, sizes = found
        yield checks.errors(errors)
        yield checks.latency(latency_s, where)
        yield checks.change_tables(sizes)

    def _checkpoint(self, stored: State, where: Platform) -> Iterator[Finding]:
        try:
            state = load_state(stored)
            if state is None:
                start = self.config.start_from or "earliest"
                yield Finding("ok", "checkpoint", f"none: the next run starts at {start}")
                return
            state = self.check_state(state)
            poll = self.server.poll(state.position.lsn, 2)
            is_behind = HistoryCheck(time.monotonic, 0).check(poll, state.position.lsn, state.tran_id)
            followed = self._followed(state, poll)
            gaps = watched.gaps(followed.tables, poll.marks, state.position)
        except DStreamError as error:
            yield _failure("checkpoint", error)
            return
        if is_behind:
            text = f"this secondary has not reached the position {state.position.lsn.hex()} yet: a run waits for it"
            fix = "If it does not catch up, check on the primary:\nSELECT * FROM sys.dm_hadr_database_replica_states;"
            yield Finding("warning", "checkpoint", text, fix)
        for lost in followed.lost.values():
            fix = f'The next run goes on with the other tables: on_table_change = "{self.config.on_table_change}".'
            yield Finding("warning", "checkpoint", lost.why.message, fix)
        if gaps:
            gap = watched.gap_error(gaps)
            yield Finding(
                "failure" if self.config.on_gap == "fail" else "warning", "time to loss", gap.message, gap.hint
            )
            return
        retention_s = facts.attempt(lambda: facts.retention_s(self.server.rows, where))
        unread_s = facts.unread_s(self.server.rows, state.position.next_lsn)
        if isinstance(retention_s, float):
            yield checks.time_to_loss(facts.TimeToLoss(retention_s, unread_s), where)
        else:
            yield checks.unknown_time_to_loss(unread_s)

    def _followed(self, state: ReaderState, poll: Poll) -> Followed:
        """The tables of the checkpoint. Raises RefusedError if one of them ends the next run."""
        captured = self.server.captured()
        known = still_selected(state.tables, captured, self.server.selects)
        followed = follow(known, captured, self.server.others(), poll.marks, state.position)
        if self.config.on_table_change == "fail":
            for lost in followed.lost.values():
                raise lost.why
        return followed


def _is_not_captured(problem: DStreamError) -> bool:
    return problem.code == "mssql.table_not_captured"


def _known(stored: State) -> list[str]:
    """The tables that the checkpoint knows; none if it cannot be read, which `_checkpoint` reports."""
    try:
        state = load_state(stored)
    except DStreamError:
        return []
    return [*state.tables, *state.skipped] if state else []


def _raised(check: Callable[[T], None], subject: T) -> list[DStreamError]:
    try:
        check(subject)
    except DStreamError as error:
        return [error]
    return []


def _failure(subject: str, error: DStreamError) -> Finding:
    return Finding("failure", subject, error.message, error.hint)
