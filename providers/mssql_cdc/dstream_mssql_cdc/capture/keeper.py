"""Creates and drops capture instances during a run, on a thread and a connection of its own.

Several tasks can read one table. Each holds a shared application lock on every instance of DStream that its stored
checkpoint is not past, and drops one only under an exclusive lock. So the last task that needs an instance drops it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from dstream.odbc import numbers_of
from dstream.sdk import State, Telemetry
from dstream.sdk.errors import AuthError, DStreamError
from dstream_mssql_cdc import errors
from dstream_mssql_cdc.capture import plan, statements
from dstream_mssql_cdc.catalog.instances import CapturedTable
from dstream_mssql_cdc.catalog.tables import Catalog, is_selected, matching, parse_table_name
from dstream_mssql_cdc.errors import ReadInterrupted
from dstream_mssql_cdc.state import load_state

INTERVAL_S = 10.0
_STOPPING_S = 1.0
"""How long a stopping run waits for a statement in progress. The thread ends with the process."""

_ALREADY_DONE = frozenset([22926, 22962, 22960])
"""Another task was faster: the instance exists, the table has two, or the instance is gone ("Database engine events and
errors")."""


class ManagedServer(Protocol):
    """Raises DStreamError."""

    def rows(self, statement: str, *parameters: object) -> Sequence[Sequence[object]]: ...
    def run(self, statement: str, *parameters: object) -> None: ...
    def catalog(self) -> Catalog: ...
    def captured(self) -> list[CapturedTable]: ...
    def close(self) -> None: ...


class InstanceKeeper:
    """Looks every 10 s. What fails is reported and tried again: it never ends the run."""

    def __init__(
        self,
        connect: Callable[[], ManagedServer],
        telemetry: Telemetry,
        stored: State,
    ) -> None:
        self.stored = stored
        """The last checkpoint that the host has stored; another thread sets it."""
        self._connect = connect
        self._telemetry = telemetry
        self._server: ManagedServer | None = None
        self._settled: object = None
        self._held: set[str] = set()
        """The instances whose locks this connection holds."""
        self._reported: set[tuple[str, str]] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="instances", daemon=True)

    def start(self, *, once: bool) -> None:
        """Look, and unless `once`, go on looking. The locks are held until `stop`."""
        self.look()
        if not once:
            self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.ident is None:
            self._close()
        else:
            self._thread.join(_STOPPING_S)

    def _run(self) -> None:
        while not self._stopped.wait(INTERVAL_S):
            self.look()
        self._close()

    def look(self) -> None:
        """Do what is due. After a lost connection, the next look connects again."""
        try:
            if self._server is None:
                self._server = self._connect()
                self._server.run(statements.SESSION)
            seen = [tuple(row) for row in self._server.rows(statements.SIGNATURE)]
            if seen != self._settled:
                self._settled = seen if self._is_settled(self._server) else None
        except DStreamError as error:
            self._report("", "mssql.instances_not_managed", cause=error.message, hint=error.hint)
            self._close()

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._server, self._settled = None, None
        self._held.clear()

    def _is_settled(self, server: ManagedServer) -> bool:
        """Take the next step of each table. Return whether none is left that could be taken later."""
        stored = load_state(self.stored)
        is_settled = True
        for table in server.captured():
            step = plan.next_step(table, stored)
            self._hold(server, plan.needed(table, step))
            if isinstance(step, plan.Blocked):
                hint = errors.second_instance_hint(table.name, table.newest.mark.instance, step.instance)
                columns = ", ".join(table.uncaptured)
                self._report(table.name, "mssql.column_not_captured", table=table.name, columns=columns, hint=hint)
            elif step is not None:
                is_settled = False
                self._take(server, step)
        return is_settled

    def _take(self, server: ManagedServer, step: plan.Step) -> None:
        schema, name = step.table.name.split(".", 1)
        try:
            if isinstance(step, plan.Create):
                created = _like(server, step, schema, name)
                server.run(created[0], *created[1])
                self._telemetry.info(
                    "mssql.instance_created",
                    table=step.table.name,
                    instance=step.instance,
                    columns=list(step.table.uncaptured),
                )
            elif isinstance(step, plan.Drop) and self._is_free(server, step.instance):
                dropped = statements.drop(schema, name, step.instance)
                server.run(dropped[0], *dropped[1])
                self._telemetry.info("mssql.old_instance_dropped", table=step.table.name, instance=step.instance)
        except ReadInterrupted:
            raise
        except DStreamError as error:
            if not is_already_done(error):
                self._report(
                    step.table.name,
                    "mssql.instance_not_managed",
                    table=step.table.name,
                    instance=step.instance,
                    cause=error.message,
                    hint=error.hint,
                )

    def _hold(self, server: ManagedServer, instances: Sequence[str]) -> None:
        for instance in instances:
            if instance not in self._held and _is_granted(server, instance, "Shared"):
                self._held.add(instance)

    def _is_free(self, server: ManagedServer, instance: str) -> bool:
        """Whether no other task needs the instance: then this one has the exclusive lock."""
        if instance in self._held:
            server.rows(statements.RELEASE, instance)
            self._held.remove(instance)
        if _is_granted(server, instance, "Exclusive"):
            return True
        self._report(instance, "mssql.instance_in_use", instance=instance, note="another task has not read it yet")
        return False

    def _report(self, about: str, event: str, **fields: object) -> None:
        """Warn once of each problem."""
        key = (about, f"{event} {fields}")
        if key not in self._reported:
            self._reported.add(key)
            self._telemetry.warning(event, **fields)


def check_owner(server: ManagedServer) -> None:
    """Raises AuthError if the login may not manage capture instances."""
    is_owner, user, database = server.rows(statements.IS_OWNER)[0]
    if is_owner != 1:
        raise errors.not_owner(str(user), str(database))


def create_missing(server: ManagedServer, tables: Sequence[str], excluded: Sequence[str], telemetry: Telemetry) -> None:
    """Enable capture for the tables that `tables` names, not those that a pattern selects, and that are not captured.
    Raises AuthError if the login may not, and errors of the server."""
    check_owner(server)
    catalog = server.catalog()
    for at, pattern in enumerate(tables):
        wanted = parse_table_name(pattern, f"tables[{at}]")
        if wanted.table == "*" or matching(catalog.tables, wanted) or not is_selected(str(wanted), [pattern], excluded):
            continue
        object_id = server.rows(statements.OBJECT_ID, wanted.schema, wanted.table)[0][0]
        if not isinstance(object_id, int):
            continue  # `tables` names a table that does not exist: reported with all other problems.
        instance = plan.instance_name(object_id, 1)
        statement, parameters = statements.create(wanted.schema, wanted.table, instance)
        try:
            server.run(statement, *parameters)
            telemetry.info("mssql.instance_created", table=str(wanted), instance=instance, columns=[])
        except DStreamError as error:
            if not is_already_done(error):
                raise


def is_already_done(error: DStreamError) -> bool:
    """Whether another task has done the same."""
    return not isinstance(error, AuthError) and bool(_ALREADY_DONE & {*numbers_of(error.message)})


def _like(server: ManagedServer, step: plan.Create, schema: str, name: str) -> tuple[str, list[object]]:
    settings = server.rows(statements.SETTINGS, step.like.mark.instance)[0]
    role, index, filegroup, supports_net_changes, allows_partition_switch = settings
    columns = [str(row[0]) for row in server.rows(statements.COLUMNS, step.table.object_id)]
    return statements.create(
        schema,
        name,
        step.instance,
        role=_text(role),
        index=_text(index),
        filegroup=_text(filegroup),
        supports_net_changes=bool(supports_net_changes),
        allows_partition_switch=bool(allows_partition_switch),
        columns=plan.columns_to_capture(step.table, step.like, columns),
    )


def _is_granted(server: ManagedServer, instance: str, mode: str) -> bool:
    result = server.rows(statements.LOCK, instance, mode)[0][0]
    return isinstance(result, int) and result >= 0


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
