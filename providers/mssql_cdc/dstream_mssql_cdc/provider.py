"""The input provider: runs a stream that survives lost connections. Imports heavy modules only when it starts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dstream.sdk import Checkpoint, InputProvider, Lines, Requirement, State, Stop

if TYPE_CHECKING:
    from dstream.sdk import Finding
    from dstream_mssql_cdc.capture.keeper import InstanceKeeper
    from dstream_mssql_cdc.catalog.instances import CapturedTable
    from dstream_mssql_cdc.config import Config  # noqa: F401  # named in quotes below
    from dstream_mssql_cdc.errors import ReadInterrupted
    from dstream_mssql_cdc.health.watch import HealthWatch
    from dstream_mssql_cdc.records.events import EventBuilder
    from dstream_mssql_cdc.server.backoff import Backoff
    from dstream_mssql_cdc.server.queries import SqlServer
    from dstream_mssql_cdc.state import ReaderState
    from dstream_mssql_cdc.stream.net_changes import StoredWindow
    from dstream_mssql_cdc.stream.reader import ChangeStream, PollPace

_HEALTH_LOGIN_TIMEOUT_S = 15


class MssqlCdc(InputProvider["Config"]):
    """Reads SQL Server change data capture by LSN: lossless, in commit order, with read-only permissions."""

    name = "mssql_cdc"
    version = "0.1.0"
    supports_once = True

    _server: SqlServer | None = None
    _watch: HealthWatch | None = None
    _keeper: InstanceKeeper | None = None
    _stored_window: StoredWindow | None = None
    _id_prefix = ""

    @classmethod
    def config_type(cls) -> type[Any]:
        from dstream_mssql_cdc.config import Config

        return Config

    @classmethod
    def requirements(cls) -> Sequence[Requirement]:
        from dstream_mssql_cdc.server.requirements import requirements

        return requirements()

    def start(self) -> None:
        from dstream_mssql_cdc.capture.keeper import create_missing
        from dstream_mssql_cdc.catalog.selection import TableProblem, not_accepted, selected
        from dstream_mssql_cdc.catalog.tables import closest, unmatched_choices, unused_exclusions

        self._snapshot_requests: deque[str] = deque()
        self._server = self._open()
        self._server.guid()  # CDC must be enabled
        config, login = self.config, self._connector.login
        if self._manages_instances:
            create_missing(self._server, config.tables, config.exclude_tables, self.telemetry)
        catalog, exists = self._server.catalog(), self._server.table_exists
        tables, problems = selected(catalog, config.tables, config.exclude_tables, login, exists)
        choices = (TableProblem(error, wanted) for wanted, error in unmatched_choices(tables, config.columns))
        self._problems = [*problems, *choices]
        for error in not_accepted(self._problems, config.on_table_change):
            raise error
        for name in unused_exclusions(catalog, config.exclude_tables):
            self.telemetry.warning("mssql.unused_exclusion", name=str(name), closest=closest(catalog, name))
        for table in tables:
            self._check_columns(table)
        self._check_snapshots(self._server, tables)
        self._warn_if_agent_stopped(self._server)
        self._warn_of_slow_instances(self._server, tables)

    def read(self, state: State, stop: Stop) -> Iterator[Lines | Checkpoint]:
        from dstream_mssql_cdc.errors import ReadInterrupted
        from dstream_mssql_cdc.position import ZERO_LSN
        from dstream_mssql_cdc.server.backoff import Backoff
        from dstream_mssql_cdc.stream.net_changes import NetChanges, StoredWindow
        from dstream_mssql_cdc.stream.progress import ReadProgress
        from dstream_mssql_cdc.stream.reader import ChangeStream

        assert self._server is not None
        until = (self._server.max_lsn() or ZERO_LSN) if self.run.once else None
        config, self._stored_window = self.config, StoredWindow()
        stream = ChangeStream(
            self._server,
            self._start_state(state),
            self._builder,
            self._pace(),
            on_gap=self.config.on_gap,
            on_table_change=self.config.on_table_change,
            schema_records=self.config.schema_records,
            snapshots_new_tables=self.config.start_from == "snapshot",
            fenced_snapshots=self.config.snapshot.mode == "fenced",
            requests=self._snapshot_requests,
            observer=ReadProgress(self.telemetry, self._connector.database, is_managed=self._manages_instances),
            net=NetChanges(config.operations, config.before_images) if config.net_changes else None,
            await_stored=self._stored_window.wait if self.run.acks else None,
        )
        self._keep_instances(state)
        yield Checkpoint(stream.state.stored())
        self._watch_health(stream.state.stored())
        backoff = Backoff()
        while True:
            try:
                yield from stream.lines(stop, until=until)
                break
            except ReadInterrupted as error:
                if not self._reconnect(stream, stop, backoff, error):
                    break
        if until is not None:
            self.telemetry.info(
                "mssql.once_done",
                up_to=stream.state.position.lsn.hex(),
                note="did not wait for changes that had not been captured at the start",
            )
        yield Checkpoint(stream.state.stored())

    def doctor(self, state: State) -> Iterator[Finding]:
        from dstream_mssql_cdc.health.doctor import Examination

        self._server = server = self._open()
        accept = self.config.accept_changed_source
        yield from Examination(
            server,
            self.config,
            self._connector.server_name,
            self._connector.login,
            self._check_columns,
            lambda tables: self._check_snapshots(server, tables),
            lambda checkpoint: self._checked(checkpoint, server.guid(), server, accept_changed=accept),
        ).findings(state)

    def acknowledged(self, state: State) -> None:
        if self._stored_window is not None:
            self._stored_window.acknowledged(state)
        if self._watch is not None:
            self._watch.stored = state
        if self._keeper is not None:
            self._keeper.stored = state

    def _watch_health(self, stored: State) -> None:
        """Watch a run that lasts, for a host that stores checkpoints."""
        from dstream_mssql_cdc.health.watch import HealthWatch

        if self.host_keeps_state and not self.run.once:
            self._watch = HealthWatch(
                lambda: self._connector.connect(_HEALTH_LOGIN_TIMEOUT_S, is_reader=False), self.telemetry, stored
            )
            self._watch.start()

    @property
    def _manages_instances(self) -> bool:
        """Not for a host that stores no checkpoints, or that only looks at rows."""
        return self.config.manage_capture_instances and self.host_keeps_state and self.run.acks

    def _keep_instances(self, stored: State) -> None:
        """Manage capture instances for as long as the run lasts, or once."""
        from dstream_mssql_cdc.capture.keeper import InstanceKeeper

        if not self._manages_instances:
            return
        self._keeper = InstanceKeeper(
            lambda: self._connector.connect(_HEALTH_LOGIN_TIMEOUT_S, is_reader=False), self.telemetry, stored
        )
        self._keeper.start(once=self.run.once)

    def snapshot(self, tables: Sequence[str]) -> None:
        self._snapshot_requests.extend(tables)

    def close(self) -> None:
        if self._watch is not None:
            self._watch.stop()
        if self._keeper is not None:
            self._keeper.stop()
        if self._server is not None:
            self._server.close()

    def _open(self) -> SqlServer:
        """Check the config and connect."""
        from dstream_mssql_cdc.config import checked, parse_start
        from dstream_mssql_cdc.errors import net_changes_need_state, start_from_required
        from dstream_mssql_cdc.server.connector import ServerConnector

        config = checked(self.config)
        if config.start_from is not None:
            parse_start(config.start_from)
        elif self.run.from_ is None and not self.host_keeps_state:
            raise start_from_required()
        if config.net_changes and not self.host_keeps_state:
            raise net_changes_need_state()
        self._names: dict[int, str] = {}
        self._connector = ServerConnector(config, self.telemetry)
        return self._connector.connect()

    def _check_columns(self, table: CapturedTable) -> None:
        """Raise ConfigError or AuthError for a column that cannot be read."""
        for instance in table.instances:
            self._builder(table, instance.mark.instance)

    def _reconnect(self, stream: ChangeStream, stop: Stop, backoff: Backoff, cause: ReadInterrupted) -> bool:
        """Reconnect to the same database; return False if stopped. Raises errors that a retry cannot fix."""
        from dstream.sdk.errors import AuthError, DStreamError
        from dstream_mssql_cdc.errors import ReadInterrupted

        assert self._server is not None
        self._server.close()
        reason: DStreamError = cause
        while True:
            wait_s = backoff.next_wait_s(reason)
            self.telemetry.phase("reconnecting", reason=f"{self._connector.server_name}: {reason.message}")
            self.telemetry.warning(
                "mssql.reconnect",
                server=self._connector.server_name,
                cause=reason.message,
                code=reason.code,
                in_s=round(wait_s, 1),
                **({"hint": reason.hint} if reason.hint else {}),
            )
            if stop.wait(wait_s):
                return False
            try:
                server = self._connector.connect(backoff.login_timeout_s)
                db = stream.state.db
                if (guid := server.guid()) != db.service_broker_guid:
                    db = self._checked(stream.state, guid, server, accept_changed=False).db
            except (ReadInterrupted, AuthError) as error:
                reason = error
                backoff.failed_to_connect()
                continue
            self._server = server
            stream.reconnect(server, db)
            backoff.connected()
            self.telemetry.info("mssql.reconnected", server=self._connector.server_name)
            return True

    def _start_state(self, stored: State) -> ReaderState:
        from dstream_mssql_cdc.catalog.selection import not_accepted
        from dstream_mssql_cdc.config import parse_start
        from dstream_mssql_cdc.state import load_state
        from dstream_mssql_cdc.stream.start import first_state

        assert self._server is not None
        guid = self._server.guid()
        state = load_state(stored)
        known = [*state.tables, *state.skipped] if state else []
        for error in not_accepted(self._problems, self.config.on_table_change, known):
            raise error
        if state is not None:
            return self._checked(state, guid, self._server, accept_changed=self.config.accept_changed_source)
        start_from = self.run.from_ or self.config.start_from or "earliest"
        first = first_state(parse_start(start_from), guid, self._server.captured(), self._server)
        self._id_prefix = first.db.id_prefix
        return first

    def _checked(self, state: ReaderState, guid: str, server: SqlServer, *, accept_changed: bool) -> ReaderState:
        from dstream_mssql_cdc.stream.start import checked_state

        checked = checked_state(state, guid, server.captured(), server, accept_changed=accept_changed)
        if checked.db.first_guid is not None and checked.db != state.db:
            self.telemetry.warning(
                "mssql.broker_guid_changed",
                was=state.db.service_broker_guid,
                now=guid,
                note="its change tables and the transaction at the position are the checkpoint's, so reading continues",
            )
        self._id_prefix = checked.db.id_prefix
        return checked

    def _check_snapshots(self, server: SqlServer, tables: Sequence[CapturedTable]) -> None:
        """Raise AuthError if a snapshot may be needed and the login cannot read the rows of a table, and AuthError or
        ConfigError if snapshots must be fenced and cannot be."""
        from dstream_mssql_cdc.errors import no_select

        if self.config.snapshot.mode == "fenced":
            server.check_fence()
        if "snapshot" in (self.run.from_, self.config.start_from) or "resnapshot" in (
            self.config.on_gap,
            self.config.on_table_change,
        ):
            unreadable = server.unreadable()
            for table in tables:
                if table.object_id in unreadable:
                    raise no_select(unreadable[table.object_id], self._connector.login)

    def _builder(self, table: CapturedTable, name: str) -> EventBuilder:
        from dstream_mssql_cdc.catalog.columns import Choices
        from dstream_mssql_cdc.catalog.tables import check_readable, choose_columns
        from dstream_mssql_cdc.records.events import EventBuilder, TableShape

        self._check_renamed(table)
        instance = next(instance for instance in table.instances if instance.mark.instance == name)
        columns = choose_columns(table, instance, self.config.columns)
        check_readable(table.name, columns, self._connector.login)
        return EventBuilder(
            TableShape(
                name=table.name,
                object_id=table.object_id,
                key=list(instance.key),
                columns=columns,
                id_prefix=f"{self._id_prefix}/{table.object_id}/",
                max_lob_bytes=self.run.max_line // 2,
                choices=Choices(self.config.decimal, self.config.binary, self._hash_key),
                skip_unchanged=self.config.skip_unchanged,
            )
        )

    @property
    def _hash_key(self) -> bytes:
        key = self.config.hash_key
        return key.reveal().encode() if key else b""

    def _check_renamed(self, table: CapturedTable) -> None:
        """Raise ConfigError if `columns` names a table that was renamed during the run: its excluded columns must not
        be read under the new name."""
        from dataclasses import replace

        from dstream_mssql_cdc.catalog.tables import check_choices, matching, parse_table_name

        former = replace(table, name=self._names.setdefault(table.object_id, table.name))
        if former.name != table.name:
            columns = self.config.columns.items()
            of_former = {
                name: choice for name, choice in columns if matching([former], parse_table_name(name, "columns"))
            }
            check_choices([table], of_former)

    def _pace(self) -> PollPace:
        from dstream_mssql_cdc.stream.reader import PollPace

        return PollPace(
            poll_s=self.config.poll_interval,
            max_poll_s=self.config.max_poll_interval,
            max_bytes=self.config.max_bytes_per_poll,
            max_line=self.run.max_line,
        )

    def _warn_if_agent_stopped(self, server: SqlServer) -> None:
        from dstream_mssql_cdc.errors import agent_stopped_hint

        status = server.agent_status()
        if status is not None and status != "Running":
            self.telemetry.warning(
                "mssql.agent_stopped", status=status, hint=agent_stopped_hint(self._connector.database)
            )

    def _warn_of_slow_instances(self, server: SqlServer, tables: Sequence[CapturedTable]) -> None:
        from dstream_mssql_cdc.errors import second_instance_hint

        unordered = server.unordered()
        for table in tables:
            newest = table.instances[-1].mark.instance
            if newest in unordered:
                hint = second_instance_hint(table.name, newest)
                self.telemetry.warning("mssql.slow_change_table", table=table.name, instance=newest, hint=hint)
