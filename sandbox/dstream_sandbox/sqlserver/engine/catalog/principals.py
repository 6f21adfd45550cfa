"""CREATE LOGIN, USER, ROLE; role membership; GRANT, DENY, REVOKE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.catalog import rights, system_views
from dstream_sandbox.sqlserver.engine.catalog.model import Principal
from dstream_sandbox.sqlserver.engine.errors import unsupported
from dstream_sandbox.sqlserver.engine.syntax import statements as st
from dstream_sandbox.sqlserver.session import SqlError

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession

_FIRST_ID = 5
_PERMISSIONS_TEXT = """
    SELECT INSERT UPDATE DELETE EXECUTE REFERENCES CONTROL ALTER VIEW_DEFINITION VIEW_DATABASE_STATE
    VIEW_SERVER_STATE VIEW_DATABASE_PERFORMANCE_STATE VIEW_SERVER_PERFORMANCE_STATE CONNECT VIEW_CHANGE_TRACKING UNMASK
"""
_PERMISSIONS = frozenset(_PERMISSIONS_TEXT.split())


def not_found(kind: str, name: str) -> SqlError:
    return SqlError(15151, f"Cannot find the {kind} '{name}', because it does not exist or you do not have permission.")


def create(session: SqlSession, statement: st.CreatePrincipal) -> None:
    if statement.kind == "LOGIN":
        rights.require_sysadmin(session, "CREATE LOGIN")
        if statement.password is None:
            raise unsupported("logins without a password")
        session.engine.create_login(statement.name, statement.password)
        return
    rights.require_ddl(session, f"CREATE {statement.kind}")
    if any(p.name.lower() == statement.name.lower() for p in session.home.principals.values()):
        raise SqlError(15023, f"User, group, or role '{statement.name}' already exists in the current database.")
    if statement.kind == "ROLE":
        create_role(session, statement.name)
        return
    if statement.password is not None:
        raise unsupported("users with a password (contained databases)")
    if statement.external_id is not None:
        _store(session, Principal(_new_id(session), statement.name, "user", statement.external_id.lower()))
        return
    login = statement.login or statement.name
    if login.lower() not in [known.lower() for known in session.engine.logins()]:
        raise SqlError(15007, f"'{login}' is not a valid login or you do not have permission.")
    _store(session, Principal(_new_id(session), statement.name, "user", login))


def create_role(session: SqlSession, name: str) -> Principal:
    role = Principal(_new_id(session), name, "role")
    _store(session, role)
    return role


def _new_id(session: SqlSession) -> int:
    return max(session.home.principals, default=_FIRST_ID - 1) + 1


def _store(session: SqlSession, principal: Principal) -> None:
    with session.home.writing() as connection:
        session.home.store_principal(connection, principal)


def named(session: SqlSession, name: str) -> Principal | None:
    return next((p for p in session.home.principals.values() if p.name.lower() == name.lower()), None)


def drop(session: SqlSession, kind: str, name: str, if_exists: bool) -> None:
    if kind == "LOGIN":
        rights.require_sysadmin(session, "DROP LOGIN")
        if not session.engine.drop_login(name) and not if_exists:
            raise not_found("login", name)
        return
    rights.require_ddl(session, f"DROP {kind}")
    found = named(session, name)
    if found is None:
        if if_exists:
            return
        raise not_found(kind.lower(), name)
    with session.home.writing() as connection:
        for role in session.home.principals.values():
            if found.name.lower() in role.members:
                role.members.discard(found.name.lower())
                session.home.store_principal(connection, role)
        session.home.drop_principal(connection, found)


def change_member(session: SqlSession, role: str, member: str, *, add: bool) -> None:
    if not rights.is_owner(session):
        raise not_found("role", role)
    found = named(session, role)
    if found is None and role.lower() in rights.FIXED_ROLES:
        found = create_role(session, role.lower())
    if found is None or found.kind != "role":
        raise not_found("role", role)
    if named(session, member) is None:
        raise not_found("principal", member)
    (found.members.add if add else found.members.discard)(member.lower())
    _store(session, found)


def change_server_member(session: SqlSession, role: str, login: str, *, add: bool) -> None:
    rights.require_sysadmin(session, "ALTER SERVER ROLE")
    if role.lower() != "sysadmin":
        raise unsupported(f"the server role {role}")
    session.engine.set_sysadmin(login, add)


def change_permission(session: SqlSession, statement: st.Permission) -> None:
    if not rights.is_owner(session):
        raise SqlError(4613, "Grantor does not have GRANT permission.")
    if all(permission.startswith("VIEW SERVER ") for permission in statement.permissions):
        _change_server_permission(session, statement)
        return
    securable = _securable(session, statement)
    for name in statement.principals:
        principal = named(session, name)
        if principal is None and name.lower() == "public":
            principal = create_role(session, "public")
        if principal is None:
            raise not_found("user", name)
        for permission in statement.permissions:
            _apply(principal, statement.action, permission, securable)
        _store(session, principal)


def _change_server_permission(session: SqlSession, statement: st.Permission) -> None:
    """Microsoft Learn, "GRANT Server Permissions": only in master, to logins."""
    if session.home.name.lower() != "master":
        raise SqlError(4621, "Permissions at the server scope can only be granted when the current database is master")
    for name in statement.principals:
        if name.lower() not in [known.lower() for known in session.engine.logins()]:
            raise not_found("login", name)
        for permission in statement.permissions:
            session.engine.grant_on_server(name, permission, statement.action == "GRANT")


def _apply(principal: Principal, action: str, permission: str, securable: str) -> None:
    if permission.replace(" ", "_") not in _PERMISSIONS and not permission.startswith(("CREATE ", "ALTER ", "VIEW ")):
        raise SqlError(102, f"Incorrect syntax near '{permission}'.", severity=15)
    for granted in ("GRANT", "DENY"):
        principal.grants.discard((granted, permission, securable))
    if action in ("GRANT", "DENY"):
        principal.grants.add((action, permission, securable))


def _securable(session: SqlSession, statement: st.Permission) -> str:
    if statement.scope == "DATABASE":
        return "database"
    if statement.scope == "SCHEMA":
        return f"schema:{statement.target[-1].lower()}"
    if statement.scope != "OBJECT":
        raise unsupported(f"permissions on {statement.scope}")
    target = statement.target
    schema = (target[-2] if len(target) > 1 else "") or "dbo"
    found = session.home.find(schema, target[-1])
    if found is None:
        if schema.lower() in ("sys", "cdc") or system_views.find(schema, target[-1], session.home.name):
            return f"name:{schema.lower()}.{target[-1].lower()}"
        raise SqlError(
            15151, f"Cannot find the object '{target[-1]}', because it does not exist or you do not have permission."
        )
    return f"object:{found.id}"
