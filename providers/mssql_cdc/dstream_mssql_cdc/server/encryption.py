"""Refuses connection strings that give up encryption or run a library, unless the task allows it. Pure."""

from __future__ import annotations

from dstream import odbc
from dstream.sdk.errors import ConfigError
from dstream_mssql_cdc.errors import TRUST_THE_CERTIFICATE
from dstream_mssql_cdc.server.connection_string import CONFIG_PATH, ConnectionSettings


def unprotected_because(settings: ConnectionSettings) -> str:
    """Return what is unprotected on the way to another machine, and why; "" if nothing is."""
    servers = [settings.get(name) for name in ("SERVER", "Failover_Partner")]
    return odbc.unprotected_because(servers, settings.get("Encrypt"), settings.get("TrustServerCertificate"))


def check_encryption(settings: ConnectionSettings, *, allow_plaintext: bool) -> str:
    """Return what to warn about at each start; "" for nothing. Raises ConfigError `mssql.plaintext`."""
    because = unprotected_because(settings)
    if because and not allow_plaintext:
        server = settings.get("SERVER") or settings.get("DSN")
        raise ConfigError(
            "mssql.plaintext",
            f"the connection to {server} can be read or redirected in transit: {because}",
            hint=f"Remove {because.partition('(')[2].rstrip(')')}. {TRUST_THE_CERTIFICATE} "
            "To accept the risk, set allow_plaintext = true.",
            config_path=CONFIG_PATH,
        )
    return because


def check_driver(settings: ConnectionSettings, odbc_driver: str | None) -> None:
    """Raise ConfigError `mssql.driver_path` for a library in the connection string: the process would run its code."""
    if odbc_driver is None and not settings.get("DSN") and set(settings.get("DRIVER")) & set("/\\"):
        raise ConfigError(
            "mssql.driver_path",
            "DRIVER in the connection string is the path of a library",
            hint="Remove it to use the installed driver, or set odbc_driver to the path.",
            config_path=CONFIG_PATH,
        )
