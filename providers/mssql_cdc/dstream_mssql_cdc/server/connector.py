"""Connects to the server that the config names, as often as a task needs to."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from dstream_mssql_cdc.config import ALL_OPERATIONS, Config
from dstream_mssql_cdc.server import sql
from dstream_mssql_cdc.server.connection import connect
from dstream_mssql_cdc.server.connection_string import parse_connection_string
from dstream_mssql_cdc.server.encryption import check_driver, check_encryption
from dstream_mssql_cdc.server.entra import sign_in
from dstream_mssql_cdc.server.queries import SqlServer
from dstream_mssql_cdc.server.session import SqlSession

if TYPE_CHECKING:
    from dstream.sdk import Telemetry


class ServerConnector:
    """Keeps the sign-in to Entra ID, so that tokens are reused."""

    def __init__(self, config: Config, telemetry: Telemetry) -> None:
        """Raises ConfigError for an invalid or unprotected connection string, or an invalid credential."""
        self._config = config
        self._telemetry = telemetry
        self._settings = parse_connection_string(config.db_connection_string.reveal())
        check_driver(self._settings, config.odbc_driver)
        because = check_encryption(self._settings, allow_plaintext=config.allow_plaintext)
        self._sign_in = sign_in(config, self._settings) if config.credential is not None else None
        self.server_name = self._settings.get("SERVER") or self._settings.get("DSN")
        self.database = self._settings.get("DATABASE")
        self.login = self._settings.get("UID")
        if because:
            telemetry.warning("mssql.plaintext", server=self.server_name, note=f"{because}: allow_plaintext allows it")

    def connect(self, login_timeout_s: int | None = None, *, is_reader: bool = True) -> SqlServer:
        """`login_timeout_s`: for a reconnect, at most the user's. `is_reader`: whether the task is reconnecting while a
        query is not answered. Raises the errors of `connection.connect`."""
        config = self._config
        operations = ALL_OPERATIONS if config.net_changes else config.operations
        server = SqlServer(
            self._session(login_timeout_s, is_reader=is_reader),
            tables=config.tables,
            excluded=config.exclude_tables,
            operations=sql.operation_codes(operations, before_images=config.before_images),
            open_session=lambda: self._session(self._settings.login_timeout_s, is_reader=is_reader),
        )
        server.learn_time_zone(config.time_zone)
        return server

    def _session(self, login_timeout_s: int | None, *, is_reader: bool) -> SqlSession:
        config, most_s = self._config, self._settings.login_timeout_s
        connection = connect(
            self._settings,
            driver=config.odbc_driver,
            read_only=config.read_only_intent,
            login_timeout_s=min(login_timeout_s or most_s, most_s),
            query_timeout_s=round(config.query_timeout),
            connected_before=login_timeout_s is not None,
            sign_in=self._sign_in,
        )
        return SqlSession(
            connection,
            database=self.database,
            login=self.login,
            awaiting=lambda: self._telemetry.awaiting(self.server_name) if is_reader else nullcontext(),
            on_half_pairs=self._warn_of_half_pairs,
        )

    def _warn_of_half_pairs(self, table: str, column: str, key: str) -> None:
        self._telemetry.warning(
            "mssql.half_pair",
            table=table,
            column=column,
            key=key,
            note="half of a surrogate pair was replaced by U+FFFD; later rows of the same page are not listed",
        )
