"""Refuses connection strings that give up encryption or run a library, unless the task allows it. Pure."""

from __future__ import annotations

from dstream.sdk.errors import ConfigError
from dstream.sdk.loopback import is_loopback
from dstream_mssql_cdc.errors import TRUST_THE_CERTIFICATE
from dstream_mssql_cdc.server.connection_string import CONFIG_PATH, ConnectionSettings

_LOCAL = (".", "(local)", "(localdb)")
"""Other names of this machine ("DSN and Connection String Keywords and Attributes", Server)."""


def unprotected_because(settings: ConnectionSettings) -> str:
    """Return what is unprotected on the way to another machine, and why; "" if nothing is.

    "DSN and Connection String Keywords and Attributes", Encrypt and TrustServerCertificate: Encrypt=strict ignores
    TrustServerCertificate.
    """
    hosts = [_host(settings.get(name)) for name in ("SERVER", "Failover_Partner") if settings.get(name)]
    if hosts and all(is_loopback(each) or each in _LOCAL for each in hosts):
        return ""
    encrypt = settings.get("Encrypt")
    if encrypt == "no":
        return "rows are not encrypted (Encrypt=no)"
    if encrypt != "strict" and settings.get("TrustServerCertificate") == "yes":
        return "the server's certificate is not verified (TrustServerCertificate=yes)"
    return ""


def check_encryption(settings: ConnectionSettings, *, allow_plaintext: bool) -> str:
    """Return what to warn about at each start; "" for nothing. Raises ConfigError `mssql.plaintext`."""
    because = unprotected_because(settings)
    if because and not allow_plaintext:
        server = settings.get("SERVER") or settings.get("DSN")
        raise ConfigError(
            "mssql.plaintext",
            f"the connection to {server} can be read or redirected on its way: {because}",
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


def _host(server: str) -> str:
    """`db` of `tcp:db\\INSTANCE,1433`."""
    server = server.strip().lower()
    for protocol in ("tcp:", "np:", "lpc:", "admin:"):
        server = server.removeprefix(protocol)
    return server.partition(",")[0].partition("\\")[0].strip()
