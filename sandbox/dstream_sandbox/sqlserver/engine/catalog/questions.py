"""Answers of metadata functions such as OBJECT_ID, which a compiled statement calls while it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dstream_sandbox.sqlserver.engine.catalog import rights, system_views
from dstream_sandbox.sqlserver.engine.catalog.model import Procedure, Table, View
from dstream_sandbox.sqlserver.engine.catalog.naming import split_name
from dstream_sandbox.sqlserver.engine.catalog.property_questions import (
    _collation_property,
    _connection_property,
    _database_property,
    _server_property,
    _session_property,
)
from dstream_sandbox.sqlserver.engine.catalog.type_ids import TYPE_IDS
from dstream_sandbox.sqlserver.engine.cdc import questions as cdc
from dstream_sandbox.sqlserver.engine.errors import unsupported
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.types.storage import Stored, pack_variant

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession

Entry = Table | View | Procedure


def answer(session: SqlSession, question: str, args: tuple[Any, ...]) -> Stored:
    """Return the answer in stored form."""
    return _QUESTIONS[question](session, *args)


def _named(session: SqlSession, name: str) -> Entry | None:
    parts = split_name(name)
    if not parts:
        return None
    if parts[-1].startswith("#"):
        return session.temp_tables.get(parts[-1].lower())
    home = session.home
    if len(parts) > 2 and parts[-3]:
        found_home = session.engine.database(parts[-3])
        if found_home is None:
            return None
        home = found_home
    if len(parts) > 2 and parts[-3].lower() == "tempdb" and parts[-1].startswith("#"):
        return session.temp_tables.get(parts[-1].lower())
    schema = (parts[-2] if len(parts) > 1 else "") or "dbo"
    found = home.find(schema, parts[-1])
    return found if found is not None and rights.visible(session, found) else None


def _by_id(session: SqlSession, object_id: int | None, database_id: int | None = None) -> Entry | None:
    home = session.home if database_id is None else session.engine.database_by_id(database_id)
    if home is None or object_id is None:
        return None
    for found in (home.tables.get(object_id), home.views.get(object_id), home.procedures.get(object_id)):
        if found is not None:
            return found
    return next((t for t in session.temp_tables.values() if t.id == object_id), None)


_KINDS = {"U": Table, "V": View, "P": Procedure}


def _object_id(session: SqlSession, name: str | None, kind: str | None = None) -> int | None:
    if name is None:
        return None
    found = _named(session, name)
    wanted = (kind or "").strip().upper()
    if found is None:
        return _constraint_id(session, name) if wanted in ("", "PK", "UQ", "C", "F", "D") else None
    if wanted and _KINDS.get(wanted) is not type(found):
        return None
    return found.id


def _constraint_id(session: SqlSession, name: str) -> int | None:
    wanted = split_name(name)[-1].lower() if split_name(name) else ""
    view = system_views.find("sys", name)
    if view is not None and "." not in name:
        return None
    for table in session.home.tables.values():
        named = [(i.name, i.object_id) for i in table.indexes if i.object_id]
        named += [(c.name, c.object_id) for c in table.checks] + [(k.name, k.object_id) for k in table.foreign_keys]
        for constraint, object_id in named:
            if constraint.lower() == wanted:
                return object_id
    parts = split_name(name)
    if len(parts) > 1 and (found := system_views.find(parts[-2], parts[-1])) is not None:
        return system_views.object_id_of(found)
    return None


def _object_name(session: SqlSession, object_id: int | None, database_id: int | None = None) -> str | None:
    found = _by_id(session, object_id, database_id)
    return found.name if found is not None else None


def _object_schema_name(session: SqlSession, object_id: int | None, database_id: int | None = None) -> str | None:
    found = _by_id(session, object_id, database_id)
    return found.schema if found is not None else None


def _schema_name(session: SqlSession, schema_id: int | None = 1) -> str | None:
    return next((name for name, number in session.home.schemas.items() if number == schema_id), None)


def _schema_id(session: SqlSession, name: str | None = "dbo") -> int | None:
    lowered = (name or "").lower()
    return next((number for known, number in session.home.schemas.items() if known.lower() == lowered), None)


def _db_name(session: SqlSession, database_id: int | None) -> str | None:
    found = session.engine.database_by_id(database_id) if database_id is not None else None
    return found.name if found is not None else None


def _db_id(session: SqlSession, name: str | None) -> int | None:
    found = session.engine.database(name) if name is not None else None
    return found.database_id if found is not None else None


def _type_name(session: SqlSession, type_id: int | None) -> str | None:
    return next((name for name, (_, user_id, _) in TYPE_IDS.items() if user_id == type_id), None)


def _type_id(session: SqlSession, name: str | None) -> int | None:
    found = TYPE_IDS.get((name or "").lower().removeprefix("sys."))
    return found[1] if found is not None else None


def _col_name(session: SqlSession, object_id: int | None, column_id: int | None) -> str | None:
    found = _by_id(session, object_id)
    if not isinstance(found, Table):
        return None
    return next((c.name for c in found.columns if c.id == column_id), None)


def _col_length(session: SqlSession, table: str | None, column: str | None) -> int | None:
    found = _named(session, table or "")
    col = found.column(column or "") if isinstance(found, Table) else None
    return system_views.max_length(col.type) if col is not None else None


def _column_property(session: SqlSession, object_id: int | None, name: str | None, wanted: str | None) -> int | None:
    found = _by_id(session, object_id)
    column = found.column(name or "") if isinstance(found, Table) else None
    if column is None:
        return None
    key = (wanted or "").lower()
    if key == "precision":
        return column.type.precision or column.type.length
    known = {
        "allowsnull": column.nullable,
        "isidentity": column.identity is not None,
        "iscomputed": column.computed is not None,
        "columnid": column.id,
        "scale": column.type.scale,
        "isrowguidcol": column.row_guid,
        "charmaxlen": column.type.length,
        "ishidden": False,
        "generatedalwaystype": 0,
        "issparse": False,
    }
    value = known.get(key)
    return None if value is None else int(value)


def _object_property(session: SqlSession, object_id: int | None, wanted: str | None) -> int | None:
    found = _by_id(session, object_id)
    if found is None:
        return None
    table = found if isinstance(found, Table) else None
    known = {
        "istable": table is not None,
        "isusertable": table is not None and not table.system,
        "issystemtable": table is not None and table.system,
        "isview": isinstance(found, View),
        "isprocedure": isinstance(found, Procedure),
        "ismsshipped": table is not None and table.system,
        "tablehasprimarykey": table is not None and table.primary_key is not None,
        "tablehasidentity": table is not None and table.identity_column is not None,
        "tablehasclustindex": table is not None and any(i.clustered for i in table.indexes),
        "schemaid": session.home.schemas.get(found.schema, 1),
        "isschemabound": False,
        "execisansinullson": True,
        "execisquotedidenton": True,
    }
    value = known.get((wanted or "").lower())
    return None if value is None else int(value)


def _object_property_ex(session: SqlSession, object_id: int | None, wanted: str | None) -> str | None:
    if (wanted or "").lower() == "basetype":
        found = _by_id(session, object_id)
        kind = {Table: "U", View: "V", Procedure: "P"}.get(type(found)) if found is not None else None
        return None if kind is None else pack_variant(names.SYSNAME, kind)
    value = _object_property(session, object_id, wanted)
    return None if value is None else pack_variant(names.INT, value)


def _index_property(session: SqlSession, object_id: int | None, name: str | None, wanted: str | None) -> int | None:
    found = _by_id(session, object_id)
    index = (
        next((i for i in found.indexes if i.name.lower() == (name or "").lower()), None)
        if isinstance(found, Table)
        else None
    )
    if index is None:
        return None
    known = {"isunique": index.unique, "isclustered": index.clustered, "indexid": index.id, "isdisabled": False}
    value = known.get((wanted or "").lower())
    return None if value is None else int(value)


def _index_col(session: SqlSession, table: str | None, index_id: int | None, key: int | None) -> str | None:
    found = _named(session, table or "")
    index = next((i for i in found.indexes if i.id == index_id), None) if isinstance(found, Table) else None
    if index is None or not isinstance(found, Table) or key is None or not 1 <= key <= len(index.columns):
        return None
    return found.column_by_id(index.columns[key - 1][0]).name


def _identity(which: int) -> Callable[..., int | None]:
    def ask(session: SqlSession, table: str | None) -> int | None:
        found = _named(session, table or "")
        column = found.identity_column if isinstance(found, Table) else None
        if not isinstance(found, Table) or column is None or column.identity is None:
            return None
        seed, step = column.identity
        following = session.home.identities.get(found.id, seed)
        return (seed if following == seed else following - step, seed, step)[which]

    return ask


def _has_perms(
    session: SqlSession, securable: str | None, kind: str | None, permission: str | None, *_: object
) -> int | None:
    wanted = (permission or "").upper()
    area = (kind or "").upper()
    if securable is None or area == "DATABASE":
        if area == "":
            return int(session.engine.is_sysadmin(session.login))
        return int(rights.has_database_permission(session, wanted) or wanted == "CONNECT")
    if area == "SERVER":
        return int(session.engine.is_sysadmin(session.login))
    if area == "SCHEMA":
        return int(rights.is_owner(session))
    parts = split_name(securable)
    if len(parts) > 1 and system_views.find(parts[-2], parts[-1]) is not None:
        return 1
    found = _named_any(session, parts)
    if found is None:
        return None
    if wanted == "ANY":
        return int(rights.visible(session, found))
    return int(rights.allowed(session, wanted, found))


def _named_any(session: SqlSession, parts: tuple[str, ...]) -> Entry | None:
    if not parts:
        return None
    return session.home.find((parts[-2] if len(parts) > 1 else "") or "dbo", parts[-1])


def _is_member(session: SqlSession, role: str | None) -> int | None:
    if role is None or not rights.role_exists(session, role):
        return None
    if session.engine.is_sysadmin(session.login):
        return int(role.lower() in ("db_owner", "public"))
    return int(role.lower() in rights.roles_of(session))


def _is_role_member(session: SqlSession, role: str | None, principal: str | None = None) -> int | None:
    if principal is None:
        return _is_member(session, role)
    raise unsupported("IS_ROLEMEMBER for another user")


def _is_server_member(session: SqlSession, role: str | None, login: str | None = None) -> int | None:
    who = login or session.login
    return (
        int(session.engine.is_sysadmin(who))
        if (role or "").lower() == "sysadmin"
        else int((role or "").lower() == "public")
    )


def _has_access(session: SqlSession, database: str | None) -> int | None:
    found = session.engine.database(database or "")
    if found is None:
        return None
    return int(session.engine.is_sysadmin(session.login) or rights.user_of(session, found) is not None)


def _user_id(session: SqlSession, name: str | None = None) -> int | None:
    if name is None or name.lower() == "dbo":
        return 1
    return next((p.id for p in session.home.principals.values() if p.name.lower() == name.lower()), None)


def _login_id(session: SqlSession, name: str | None = None) -> int | None:
    known = [login.lower() for login in session.engine.logins()]
    who = (name or session.login).lower()
    return known.index(who) + 1 if who in known else None


def _login_sid(session: SqlSession, name: str | None = None) -> bytes | None:
    number = _login_id(session, name)
    return None if number is None else bytes([number])


def _definition(session: SqlSession, object_id: int | None) -> str | None:
    found = _by_id(session, object_id)
    return found.text if isinstance(found, (View, Procedure)) else None


_QUESTIONS: dict[str, Callable[..., Stored]] = {
    "object_id": _object_id,
    "object_name": _object_name,
    "object_schema_name": _object_schema_name,
    "schema_name": _schema_name,
    "schema_id": _schema_id,
    "db_name": _db_name,
    "db_id": _db_id,
    "type_name": _type_name,
    "type_id": _type_id,
    "col_name": _col_name,
    "col_length": _col_length,
    "columnproperty": _column_property,
    "objectproperty": _object_property,
    "objectpropertyex": _object_property_ex,
    "indexproperty": _index_property,
    "indexkey_property": lambda session, *_: None,
    "typeproperty": lambda session, *_: None,
    "index_col": _index_col,
    "ident_current": _identity(0),
    "ident_seed": _identity(1),
    "ident_incr": _identity(2),
    "serverproperty": _server_property,
    "sessionproperty": _session_property,
    "databasepropertyex": _database_property,
    "connectionproperty": _connection_property,
    "collationproperty": _collation_property,
    "has_perms_by_name": _has_perms,
    "is_member": _is_member,
    "is_rolemember": _is_role_member,
    "is_srvrolemember": _is_server_member,
    "has_dbaccess": _has_access,
    "user_id": _user_id,
    "database_principal_id": _user_id,
    "suser_id": _login_id,
    "suser_sid": _login_sid,
    "object_definition": _definition,
    "fn_cdc_get_min_lsn": cdc.min_lsn,
    "fn_cdc_get_max_lsn": cdc.max_lsn,
    "fn_cdc_map_lsn_to_time": cdc.lsn_to_time,
    "fn_cdc_map_time_to_lsn": cdc.time_to_lsn,
    "fn_cdc_get_column_ordinal": cdc.column_ordinal,
}
