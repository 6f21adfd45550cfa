"""Permissions: sysadmin and db_owner can do everything, others only what they or their roles were granted. A simple
model of Microsoft Learn, "Permissions (Database Engine)"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.catalog.model import Principal, Procedure, Table, View
from dstream_sandbox.sqlserver.engine.errors import permission_denied
from dstream_sandbox.sqlserver.engine.platforms import AZURE_SQL_DATABASE
from dstream_sandbox.sqlserver.session import SqlError

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.cdc.instances import CaptureInstance
    from dstream_sandbox.sqlserver.engine.database import Database
    from dstream_sandbox.sqlserver.engine.session import SqlSession

FIXED_ROLES = ("db_owner", "db_datareader", "db_datawriter", "db_ddladmin", "db_securityadmin")
_OPEN_SCHEMAS = ("sys", "information_schema")


def user_of(session: SqlSession, database: Database | None = None) -> Principal | None:
    """Return the database user of the session's login."""
    return user_for(session.login, database or session.home)


def user_for(login: str, database: Database) -> Principal | None:
    """Return the database user of a login."""
    principals = database.principals.values()
    return next((p for p in principals if p.kind == "user" and (p.login or p.name).lower() == login.lower()), None)


def check_access(session: SqlSession, database: Database) -> None:
    """Raise 916 if the login has no user in the database."""
    if session.engine.is_sysadmin(session.login) or database.name.lower() in ("master", "tempdb", "msdb"):
        return
    if user_of(session, database) is None:
        text = (
            f'The server principal "{session.login}" is not able to access the database "{database.name}" '
            f"under the current security context."
        )
        raise SqlError(916, text, severity=14)


def roles_of(session: SqlSession) -> set[str]:
    """Return the names, in lower case, of the roles that the session's user is in, directly or through roles."""
    user = user_of(session)
    if user is None:
        return {"public"}
    found, pending = {"public"}, [user.name.lower()]
    roles = [p for p in session.home.principals.values() if p.kind == "role"]
    while pending:
        member = pending.pop()
        for role in roles:
            if member in role.members and role.name.lower() not in found:
                found.add(role.name.lower())
                pending.append(role.name.lower())
    return found


def is_owner(session: SqlSession) -> bool:
    return session.engine.is_sysadmin(session.login) or "db_owner" in roles_of(session)


def allowed(session: SqlSession, permission: str, entry: Table | View | Procedure) -> bool:
    if is_owner(session):
        return True
    if isinstance(entry, Table) and entry.storage == "temp":
        return True
    roles = roles_of(session)
    if permission == "SELECT" and "db_datareader" in roles:
        return True
    if permission in ("INSERT", "UPDATE", "DELETE") and "db_datawriter" in roles:
        return True
    user = user_of(session)
    names = roles | ({user.name.lower()} if user is not None else set())
    grants = {g for p in session.home.principals.values() if p.name.lower() in names for g in p.grants}
    securables = (f"object:{entry.id}", f"schema:{entry.schema.lower()}", "database")
    if any(("DENY", permission, s) in grants or ("DENY", "CONTROL", s) in grants for s in securables):
        return False
    return any(("GRANT", p, s) in grants for s in securables for p in (permission, "CONTROL"))


def require(session: SqlSession, permission: str, entry: Table | View) -> None:
    """Raise 229 if the session lacks the permission."""
    if not allowed(session, permission, entry):
        raise permission_denied(permission, entry.name, session.home.name, entry.schema)


def require_execute(session: SqlSession, procedure: Procedure) -> None:
    if not allowed(session, "EXECUTE", procedure):
        raise permission_denied("EXECUTE", procedure.name, session.home.name, procedure.schema)


def require_ddl(session: SqlSession, what: str) -> None:
    """Raise 262 without db_owner or db_ddladmin."""
    if is_owner(session) or "db_ddladmin" in roles_of(session):
        return
    raise SqlError(262, f"{what} permission denied in database '{session.home.name}'.", severity=14)


def require_sysadmin(session: SqlSession, what: str) -> None:
    if not session.engine.is_sysadmin(session.login):
        raise SqlError(
            22904 if what.startswith("sys.sp_cdc") else 262,
            f"Caller is not authorized to initiate the requested action. {what} requires sysadmin privileges.",
        )


def require_state(session: SqlSession, permission: str) -> None:
    """Raise 262 or 300 if the session may not read the views that need `permission`, which VIEW DATABASE STATE or VIEW
    SERVER STATE include (Microsoft Learn, "System dynamic management views"; texts measured on SQL Server 2022). Azure
    SQL Database has permissions on the database instead of those on the server (the views' pages)."""
    if session.engine.platform.engine_edition == AZURE_SQL_DATABASE.engine_edition:
        permission = permission.replace("VIEW SERVER", "VIEW DATABASE")
    on_server = set(session.engine.server_grants(session.login))
    if session.engine.is_sysadmin(session.login) or "VIEW SERVER STATE" in on_server:
        return
    if permission.startswith("VIEW SERVER"):
        if permission in on_server:
            return
        text = f"{permission} permission was denied on object 'server', database 'master'."
        raise SqlError(300, text, severity=14)
    if any(has_database_permission(session, each) for each in (permission, "VIEW DATABASE STATE", "CONTROL")):
        return
    raise SqlError(262, f"{permission} permission denied in database '{session.home.name}'.", severity=14)


def require_in_msdb(session: SqlSession, name: str) -> None:
    """Raise 229 if the session may not read a table of msdb. Every login can enter msdb, as its guest."""
    msdb = session.engine.database("msdb")
    assert msdb is not None
    if session.engine.is_sysadmin(session.login):
        return
    user = user_of(session, msdb)
    if user is None or not user.grants & {("GRANT", "SELECT", f"name:dbo.{name}"), ("GRANT", "SELECT", "schema:dbo")}:
        raise permission_denied("SELECT", name, "msdb", "dbo")


def has_database_permission(session: SqlSession, permission: str) -> bool:
    if is_owner(session):
        return True
    user = user_of(session)
    names = roles_of(session) | ({user.name.lower()} if user is not None else set())
    return any(
        ("GRANT", permission, "database") in p.grants
        for p in session.home.principals.values()
        if p.name.lower() in names
    )


def role_exists(session: SqlSession, name: str) -> bool:
    lowered = name.lower()
    return lowered in (*FIXED_ROLES, "public") or any(
        p.name.lower() == lowered for p in session.home.principals.values()
    )


def may_read_capture(session: SqlSession, instance: CaptureInstance) -> bool:
    """Whether the user has SELECT on the source's captured columns and is in the gating role, if there is one
    (Microsoft Learn, "sys.fn_cdc_get_min_lsn", Permissions)."""
    if is_owner(session):
        return True
    if instance.role and instance.role.lower() not in roles_of(session):
        return False
    source = session.home.tables.get(instance.source_id)
    return source is not None and allowed(session, "SELECT", source)


def require_capture(session: SqlSession, instance: CaptureInstance) -> None:
    if not may_read_capture(session, instance):
        raise permission_denied("SELECT", f"fn_cdc_get_all_changes_{instance.name}", session.home.name, "cdc")


def visible(session: SqlSession, entry: Table | View | Procedure) -> bool:
    """Catalog views show objects on which the user has any permission (Microsoft Learn, "Metadata visibility
    configuration")."""
    return entry.schema.lower() in _OPEN_SCHEMAS or any(
        allowed(session, p, entry) for p in ("SELECT", "INSERT", "UPDATE", "DELETE", "EXECUTE", "VIEW DEFINITION")
    )
