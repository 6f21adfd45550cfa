"""What compiling a statement needs to know about the session it runs in."""

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
    """A view of the server's state. Its rows are computed when a statement that names it starts."""

    name: str
    columns: tuple[tuple[str, SqlType], ...]

    @property
    def stored_name(self) -> str:
        return "temp.v_" + self.name.replace(".", "_")


class Environment(Protocol):
    """The session, as the compiler sees it."""

    database: str
    """The current database's name."""
    catalog_collation: str
    """The collation of names in system views."""
    undeclared_allowed: bool
    """For describe_parameters: an unknown variable is a parameter whose type is to be deduced."""

    def variable_type(self, name: str) -> SqlType | None: ...

    def tables(self) -> Iterable[Table]:
        """Return every stored table of the database."""

    def find(self, name: Sequence[str]) -> Table | View | SystemView | None:
        """Return an object to read, by its possibly qualified name."""

    def view_query(self, view: View) -> tuple[Query, tuple[str, ...]]:
        """Return a view's query and its column names."""

    def function_query(self, name: Sequence[str], args: Sequence[Ex]) -> FunctionTable | None:
        """Return the SQLite SQL of a table-valued function that the database itself provides (CDC)."""

    def require(self, permission: str, table: Table | View) -> None:
        """Raise 229 if the session lacks the permission."""

    def unmasks(self, table: Table) -> bool:
        """Whether the session has UNMASK on the table."""

    def read_lock(self) -> str:
        """The lock of a read: "S" until the transaction ends (REPEATABLE READ, SERIALIZABLE), "s" until the statement
        ends (READ COMMITTED with READ_COMMITTED_SNAPSHOT OFF), or none."""


@dataclass(frozen=True, slots=True)
class FunctionTable:
    sql: str
    columns: tuple[tuple[str, SqlType], ...]
    tables: Iterable[int] = ()
