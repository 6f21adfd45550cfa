"""The engine: its databases, logins and sessions. `open_engine` is the package's entry point."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import secrets
import shutil
import sqlite3
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dstream_sandbox.entra_tokens import SQL, InvalidToken, claims_of
from dstream_sandbox.sqlserver.engine import clock
from dstream_sandbox.sqlserver.engine.binder.closures import ErrorBox, register
from dstream_sandbox.sqlserver.engine.catalog import rights
from dstream_sandbox.sqlserver.engine.cdc.capture_job import CaptureJob
from dstream_sandbox.sqlserver.engine.cdc.catalog import refilter, reload
from dstream_sandbox.sqlserver.engine.database import Database
from dstream_sandbox.sqlserver.engine.plans import PlanCache, TextCache
from dstream_sandbox.sqlserver.engine.platforms import Platform
from dstream_sandbox.sqlserver.engine.session import SqlSession
from dstream_sandbox.sqlserver.engine.storage.locks import LockManager
from dstream_sandbox.sqlserver.engine.types.rounding import to_datetime
from dstream_sandbox.sqlserver.session import SqlError

if TYPE_CHECKING:
    from collections.abc import Iterable

_SYSTEM = ("master", "tempdb", "model", "msdb")
_FIRST_SPID = 51
_TOKEN_PRINCIPAL = "<token-identified principal>"
"""Microsoft Learn, "MSSQLSERVER_18456": the user in the error if the login was by token."""


def login_failed(user: str) -> SqlError:
    return SqlError(18456, f"Login failed for user '{user}'.", severity=14)


class SqlEngine:
    """Implements the `Engine` protocol. `data` holds one file per database; `server.json` lists them and the logins."""

    def __init__(self, data: Path, user: str, password: str, capture_delay_s: float, platform: Platform) -> None:
        self._data = data
        self.platform = platform
        data.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._databases: dict[str, Database] = {}
        self._admin_boxes: dict[str, ErrorBox] = {}
        self._sessions: dict[int, SqlSession] = {}
        self._administrator, self._password = user, password
        self._logins: dict[str, str] = {}
        """Other logins: lower-case name to salt and hash."""
        self._sysadmins: set[str] = set()
        self._server_grants: dict[str, list[str]] = {}
        """Permissions on the server, such as VIEW SERVER STATE, by lower-case login."""
        self.locks = LockManager()
        self.plans: PlanCache = PlanCache(4000)
        self.texts: TextCache = TextCache(2000)
        self.started = clock.now_ticks()
        self.capture = CaptureJob(self.databases, capture_delay_s)
        self._open()
        self.capture.start()

    def _open(self) -> None:
        path = self._data / "server.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        self._logins = dict(known.get("logins", {}))
        self._sysadmins = set(known.get("sysadmins", ()))
        self._server_grants = dict(known.get("server_grants", {}))
        found: dict[str, int] = known.get("databases", {name: i for i, name in enumerate(_SYSTEM, 1)})
        for name, database_id in found.items():
            self._attach(name, database_id)
        self._save()

    def _attach(self, name: str, database_id: int) -> Database:
        database = Database(
            name, database_id, self._data / f"database{database_id}.sqlite", to_datetime(clock.now_ticks())
        )
        database.keeps_unchanged_lobs = self.platform.keeps_unchanged_lobs
        self._admin_boxes[name.lower()] = register(database.admin)
        with database.writing() as connection:
            database.store_options(connection)
        reload(database, database.admin)
        refilter(database)
        self._databases[name.lower()] = database
        return database

    def _save(self) -> None:
        """Save atomically: a crash leaves the old file or the new one."""
        import os

        content = {
            "databases": {d.name: d.database_id for d in self._databases.values()},
            "logins": self._logins,
            "sysadmins": sorted(self._sysadmins),
            "server_grants": self._server_grants,
        }
        path = self._data / "server.json"
        fresh = path.with_suffix(".new")
        with fresh.open("w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)

    # The seam

    @property
    def recovers_sessions(self) -> bool:
        return self.platform.recovers_sessions

    def login(self, user: str, password: str, database: str, *, app: str, host: str) -> SqlSession:
        if not self._password_matches(user, password):
            raise login_failed(user)
        shown = self._administrator if user.lower() == self._administrator.lower() else user
        return self._open_session(shown, database or "master", app, host)

    def login_with_token(self, token: str, database: str, *, app: str, host: str) -> SqlSession:
        """The login of an identity is its principal ID; tokens are signed with the administrator's password."""
        try:
            claims = claims_of(self._password, token)
        except InvalidToken:
            raise login_failed(_TOKEN_PRINCIPAL) from None
        login, name = claims.principal_id.lower(), database or "master"
        found = self.database(name)
        if claims.audience != SQL or (found and not rights.user_for(login, found)):
            raise login_failed(_TOKEN_PRINCIPAL)
        if time.time() >= claims.expires_at:
            error = login_failed(_TOKEN_PRINCIPAL)
            raise SqlError(error.number, f"{error.text} Token is expired.", severity=error.severity)
        return self._open_session(login, name, app, host)

    def _open_session(self, login: str, name: str, app: str, host: str) -> SqlSession:
        with self._lock:
            found = self.database(name)
            spid = next(n for n in range(_FIRST_SPID, 32767) if n not in self._sessions)
            if found is None:
                raise SqlError(
                    4060, f'Cannot open database "{name}" requested by the login. The login failed.', severity=11
                )
            session = SqlSession(self, spid, login, found, app, host)
            self._sessions[spid] = session
        try:
            rights.check_access(session, found)
        except SqlError:
            session.close()
            text = f'Cannot open database "{name}" requested by the login. The login failed.'
            raise SqlError(4060, text, severity=11) from None
        return session

    def close(self) -> None:
        self.capture.stop()
        for session in list(self._sessions.values()):
            session.close()
        for database in self._databases.values():
            database.close()

    # Sessions and databases

    def sessions(self) -> list[SqlSession]:
        with self._lock:
            return list(self._sessions.values())

    def forget(self, session: SqlSession) -> None:
        with self._lock:
            self._sessions.pop(session.spid, None)

    def databases(self) -> list[Database]:
        with self._lock:
            return list(self._databases.values())

    def database(self, name: str) -> Database | None:
        with self._lock:
            return self._databases.get(name.lower())

    def database_by_id(self, database_id: int) -> Database | None:
        return next((d for d in self.databases() if d.database_id == database_id), None)

    def admin_box(self, database: Database) -> ErrorBox:
        return self._admin_boxes[database.name.lower()]

    def create_database(self, name: str) -> Database:
        with self._lock:
            used = {d.database_id for d in self._databases.values()}
            database_id = next(i for i in range(5, 32767) if i not in used)
            path = self._data / f"database{database_id}.sqlite"
            for stale in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
                stale.unlink(missing_ok=True)
            database = self._attach(name, database_id)
            self._save()
            return database

    def backup_database(self, name: str, device: str) -> None:
        """Write a copy of the database's file to the server's folder `backups`."""
        path = self._backup(device)
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        database = self._databases[name.lower()]
        with database.commit_lock, contextlib.closing(sqlite3.connect(path)) as copy:
            database.save_state(database.admin)
            database.admin.backup(copy)

    def restore_database(self, name: str, device: str) -> None:
        """Replace the database by a backup of it: the log continues from the backup's last LSN."""
        with self._lock:
            database = self._databases.get(name.lower())
            if database is None:
                raise SqlError(911, f"Database '{name}' does not exist. Make sure that the name is entered correctly.")
            if not self._backup(device).exists():
                raise SqlError(3201, f"Cannot open backup device '{device}'. Operating system error 2.")
            if any(s.home is database for s in self._sessions.values()):
                raise SqlError(3101, "Exclusive access could not be obtained because the database is in use.")
            self._close(database)
            shutil.copyfile(self._backup(device), database.path)
            restored = self._attach(database.name, database.database_id)
            restored.version = database.version + 1  # plans compiled before are invalid
            restored.start_recovery_fork()
            self.capture.restore(restored)

    def _backup(self, device: str) -> Path:
        return self._data / "backups" / Path(device).name

    def drop_database(self, session: SqlSession, name: str) -> None:
        with self._lock:
            database = self._databases[name.lower()]
            if database.name.lower() in _SYSTEM:
                raise SqlError(3708, f"Cannot drop the database '{name}' because it is a system database.")
            if any(s.home is database for s in self._sessions.values()):
                raise SqlError(3702, f'Cannot drop database "{name}" because it is currently in use.')
            del self._databases[name.lower()]
            self._save()
            self._close(database)

    def _close(self, database: Database) -> None:
        """Close a database that no session is in, and delete its files."""
        for other in self._sessions.values():
            other.forget_database(database)
        database.close()
        for path in (database.path, *(database.path.with_name(database.path.name + s) for s in ("-wal", "-shm"))):
            path.unlink(missing_ok=True)

    # Logins

    def is_sysadmin(self, login: str) -> bool:
        return login.lower() == self._administrator.lower() or login.lower() in self._sysadmins

    def logins(self) -> Iterable[str]:
        return [self._administrator, *self._logins]

    def create_login(self, name: str, password: str) -> None:
        with self._lock:
            if name.lower() in self._logins or name.lower() == self._administrator.lower():
                raise SqlError(15025, f"The server principal '{name}' already exists.")
            salt = secrets.token_hex(16)
            self._logins[name.lower()] = f"{salt}${_digest(salt, password)}"
            self._save()

    def drop_login(self, name: str) -> bool:
        with self._lock:
            found = self._logins.pop(name.lower(), None) is not None
            self._sysadmins.discard(name.lower())
            self._server_grants.pop(name.lower(), None)
            self._save()
            return found

    def set_sysadmin(self, login: str, member: bool) -> None:
        with self._lock:
            (self._sysadmins.add if member else self._sysadmins.discard)(login.lower())
            self._save()

    def server_grants(self, login: str) -> Iterable[str]:
        with self._lock:
            return list(self._server_grants.get(login.lower(), ()))

    def grant_on_server(self, login: str, permission: str, granted: bool) -> None:
        with self._lock:
            others = [each for each in self._server_grants.get(login.lower(), ()) if each != permission]
            self._server_grants[login.lower()] = [*others, *[permission] * granted]
            self._save()

    def _password_matches(self, user: str, password: str) -> bool:
        if user.lower() == self._administrator.lower():
            return hmac.compare_digest(password.encode("utf-8", "surrogatepass"), self._password.encode())
        stored = self._logins.get(user.lower())
        if stored is None:
            return False
        salt, digest = stored.split("$")
        return hmac.compare_digest(_digest(salt, password), digest)


def _digest(salt: str, password: str) -> str:
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt.encode(), n=2**12, r=8, p=1).hex()
