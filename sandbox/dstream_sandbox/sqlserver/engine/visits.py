"""Statements about another database: `SELECT ... FROM other.dbo.t`, `other.sys.fn_cdc_get_max_lsn()`.

Each database has its own file, so a statement runs in the database of its tables; the session returns to its own
database afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.catalog import system_views
from dstream_sandbox.sqlserver.engine.syntax import nodes
from dstream_sandbox.sqlserver.engine.syntax import statements as st

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.database import Database
    from dstream_sandbox.sqlserver.engine.session import SqlSession

_VISITING = (
    st.SelectStatement,
    st.Insert,
    st.Update,
    st.Delete,
    st.Merge,
    st.Truncate,
    st.CreateTable,
    st.AlterTable,
    st.CreateIndex,
    st.Drop,
    st.SetVariable,
    st.If,
    st.While,
)


@dataclass(slots=True)
class _Found:
    databases: set[str] = field(default_factory=set)
    local: bool = False
    """Whether some table is named without a database."""
    ctes: set[str] = field(default_factory=set)


def visited_database(session: SqlSession, statement: st.Statement) -> Database | None:
    """Return the database in which to run the statement, if it is not the current one. Also None for a statement that
    mixes databases, which is left to the compiler."""
    if not isinstance(statement, _VISITING):
        return None
    found: _Found = session.engine.texts.obtain(("databases", statement), lambda: _look(statement))
    others = found.databases - {session.home.name.lower()}
    if len(others) != 1 or found.local or session.home.name.lower() in found.databases:
        return None
    return session.engine.database(next(iter(others)))


def _look(statement: st.Statement) -> _Found:
    found = _Found()
    if isinstance(statement, (st.If, st.While)):
        _walk(statement.condition, found)
        return found
    for name in ("target", "name", "table"):
        value = getattr(statement, name, None)
        if isinstance(value, tuple) and value:
            _note(value, found)
    for dropped in getattr(statement, "names", ()):
        if isinstance(dropped, tuple):
            _note(dropped, found)
    _walk(statement, found)
    return found


def _walk(node: object, found: _Found) -> None:
    if isinstance(node, nodes.Cte):
        found.ctes.add(node.name.lower())
    if isinstance(node, nodes.TableSource):
        _note(node.name, found)
    elif isinstance(node, nodes.Call) and len(node.name) == 3 and node.name[0]:
        found.databases.add(node.name[0])
    if isinstance(node, tuple):
        for item in node:
            _walk(item, found)
        return
    slots = getattr(type(node), "__dataclass_fields__", None)
    for name in slots or ():
        _walk(getattr(node, name), found)


def _note(name: tuple[str, ...], found: _Found) -> None:
    if len(name) == 3 and name[0]:
        view = system_views.find(name[1], name[2], name[0])
        if view is not None and view.name.startswith("msdb."):
            found.local = True  # about the whole server, so it can be read from the current database
            return
        found.databases.add(name[0].lower())
    elif not (len(name) == 1 and name[0].lower() in found.ctes):
        found.local = True
