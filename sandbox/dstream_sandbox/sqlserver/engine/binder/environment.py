"""What compiling a statement may ask of the session it runs in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dstream_sandbox.sqlserver.engine.catalog.model import Table, View
from dstream_sandbox.sqlserver.values import SqlType

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.binder.expression import Ex
    from dstream_sandbox.sqlserver.engine.syntax.nodes import Query


@dataclass(frozen=True, slots=True)
class SystemView:
    """A view of the server's own state: its rows are computed when a statement that names it starts."""

    name: str
    columns: tuple[tuple[str, SqlType], ...]

    @property
    def stored_name(self) -> str:
        return "temp.v_" + self.name.replace(".", "_")


class Environment(Protocol):
    """The session, as the compiler sees it."""

    database: str
    """The current database's name."""
    undeclared_allowed: bool
    """describe_parameters: an unknown variable is a parameter whose type is wanted."""

    def variable_type(self, name: str) -> SqlType | None: ...

    def tables(self) -> Iterable[Table]:
        """Every stored table of the database."""

    def find(self, name: Sequence[str]) -> Table | View | SystemView | None:
        """An object to read, by its possibly qualified name."""

    def view_query(self, view: View) -> tuple[Query, tuple[str, ...]]:
        """A view's query and its column names."""

    def function_query(self, name: Sequence[str], args: Sequence[Ex]) -> FunctionTable | None:
        """A table-valued function of the database's own (CDC), its SQL for SQLite."""

    def require(self, permission: str, table: Table | View) -> None:
        """Raises 229 without the right."""

    def locks_reads(self) -> bool:
        """REPEATABLE READ and SERIALIZABLE keep what they read locked."""


@dataclass(frozen=True, slots=True)
class FunctionTable:
    sql: str
    columns: tuple[tuple[str, SqlType], ...]
    tables: Iterable[int] = ()
