"""Parses connection settings in any of the common forms, such as those in the Azure portal. Pure.

- ODBC: `Server=tcp:db.example.com,1433;Database=Sales;UID=reader;PWD={p;w};Encrypt=yes`
- the original DStream's (ADO, go-mssqldb):
  `server=db;port=1433;user id=reader;password=pw;database=Sales;encrypt=disable`
- URL: `sqlserver://reader:p%40w@db:1433/INSTANCE?database=Sales&encrypt=true`
- JDBC: `jdbc:sqlserver://db:1433;database=Sales;user=reader;password=pw;encrypt=true`

Sources: Microsoft "DSN and Connection String Keywords and Attributes" (ODBC driver), "SqlConnection.ConnectionString"
(ADO.NET), "Building the connection URL" and "Setting the connection properties" (JDBC), and go-mssqldb's README,
"Connection Parameters and DSN".
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from dstream.sdk.errors import ConfigError

CONFIG_PATH = "db_connection_string"


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """ODBC keywords and values for a connection string, without the driver, which the caller adds."""

    keywords: tuple[tuple[str, str], ...]
    login_timeout_s: int = 15

    def get(self, keyword: str) -> str:
        return dict(self.keywords).get(keyword, "")

    def odbc(self, **more: str) -> str:
        """The ODBC connection string; `more` comes first and overrides the user's values."""
        kept = [(key, value) for key, value in self.keywords if key not in more]
        return ";".join(f"{key}={_quoted(value)}" for key, value in [*more.items(), *kept])

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={value!r}" for key, value in self.keywords if key != "PWD")
        return f"ConnectionSettings({shown})"


def parse_connection_string(text: str) -> ConnectionSettings:
    """Parse any of the forms. Raises ConfigError `mssql.connection_string`; its message never contains a value."""
    text = text.strip().removeprefix("odbc:")
    if _CODE.search(text):
        raise _bad("db_connection_string contains program code", 'Copy the string in the portal\'s "ODBC" tab instead.')
    found: dict[str, str] = {}
    for name, value in _pairs(text):
        keyword = _keyword(name)
        if keyword:
            found[keyword] = value
    return _settings(found)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    scheme = text.lower().partition("//")[0]
    if scheme == "jdbc:sqlserver:":
        return _jdbc_pairs(text[len("jdbc:sqlserver://") :])
    return _url_pairs(text) if scheme == "sqlserver:" else _keyword_pairs(text)


_CODE = re.compile(r"^//|^sqlsrv:|<\?php|new PDO\(|sqlsrv_connect|fmt\.Sprintf|\"\s*=>\s*\"")
"""What the portal shows for PHP and Go: code that builds a string."""

_KEYWORDS = {
    "server": "SERVER", "servername": "SERVER", "datasource": "SERVER", "address": "SERVER", "addr": "SERVER",
    "networkaddress": "SERVER",
    "port": "port", "portnumber": "port",
    "database": "DATABASE", "databasename": "DATABASE", "initialcatalog": "DATABASE",
    "uid": "UID", "userid": "UID", "user": "UID", "username": "UID",
    "pwd": "PWD", "password": "PWD",
    "encrypt": "Encrypt",
    "trustservercertificate": "TrustServerCertificate",
    "hostnameincertificate": "HostnameInCertificate",
    "servercertificate": "ServerCertificate", "certificate": "ServerCertificate",
    "authentication": "Authentication", "fedauth": "Authentication",
    "trusted_connection": "Trusted_Connection", "integratedsecurity": "Trusted_Connection",
    "applicationintent": "ApplicationIntent",
    "app": "APP", "appname": "APP", "applicationname": "APP",
    "wsid": "WSID", "workstationid": "WSID",
    "multisubnetfailover": "MultiSubnetFailover",
    "failover_partner": "Failover_Partner", "failoverpartner": "Failover_Partner",
    "connectretrycount": "ConnectRetryCount", "connectretryinterval": "ConnectRetryInterval",
    "ipaddresspreference": "IpAddressPreference",
    "keepalive": "KeepAlive", "keepaliveinterval": "KeepAliveInterval",
    "packetsize": "PacketSize",
    "serverspn": "ServerSPN", "clientcertificate": "ClientCertificate", "clientkey": "ClientKey",
    "driver": "DRIVER", "dsn": "DSN", "language": "LANGUAGE", "currentlanguage": "LANGUAGE",
    "connectiontimeout": "timeout", "connecttimeout": "timeout", "dialtimeout": "timeout", "timeout": "timeout",
    "logintimeout": "timeout",
}  # fmt: skip
"""Names in lower case, without spaces."""

_IGNORED = frozenset([
    "persistsecurityinfo", "multipleactiveresultsets", "mars_connection", "pooling", "minpoolsize", "maxpoolsize",
    "loadbalancetimeout", "connectionlifetime", "poolblockingperiod", "enlist", "replication", "typesystemversion",
    "asynchronousprocessing", "async", "transactionbinding", "transparentnetworkipresolution", "commandtimeout",
    "columnencryption", "columnencryptionsetting", "enclaveattestationurl", "attestationprotocol", "regional",
    "sendstringparametersasunicode", "selectmethod", "responsebuffering", "lastupdatecount", "querytimeout",
    "sockettimeout", "cancelquerytimeout", "log",
])  # fmt: skip
"""Keywords of ADO.NET, JDBC, ODBC and go-mssqldb for features that the provider does not use, such as pools."""

_AUTHENTICATIONS = {
    "sqlpassword": "SqlPassword",
    "activedirectorypassword": "ActiveDirectoryPassword",
    "activedirectoryintegrated": "ActiveDirectoryIntegrated",
    "activedirectoryserviceprincipal": "ActiveDirectoryServicePrincipal",
    "activedirectorymanagedidentity": "ActiveDirectoryMsi",
    "activedirectorymsi": "ActiveDirectoryMsi",
}
"""ODBC's spelling of each value of ADO.NET and JDBC, in lower case without spaces ("Using Microsoft Entra ID with the
ODBC Driver"; "Connect to Azure SQL with Microsoft Entra authentication and SqlClient")."""

_REFUSED_AUTHENTICATIONS = {
    "activedirectorydefault": "the ODBC driver does not support ActiveDirectoryDefault",
    "activedirectoryworkloadidentity": "the ODBC driver does not support ActiveDirectoryWorkloadIdentity",
    "activedirectoryinteractive": "ActiveDirectoryInteractive needs a person to sign in",
    "activedirectorydevicecodeflow": "ActiveDirectoryDeviceCodeFlow needs a person to sign in",
}

_CREDENTIALS = {"activedirectorydefault": "default", "activedirectoryworkloadidentity": "workload_identity"}
"""The setting that replaces a value."""

_PLACEHOLDER = re.compile(r"your_[a-z_@]+", re.IGNORECASE)

_ENCRYPT = {
    "disable": "no", "false": "no", "no": "no", "optional": "no", "0": "no",
    "true": "yes", "yes": "yes", "mandatory": "yes", "1": "yes",
    "strict": "strict",
}  # fmt: skip
_BOOLEAN = {"true": "yes", "yes": "yes", "1": "yes", "sspi": "yes", "false": "no", "no": "no", "0": "no"}
_BOOLEANS = ("TrustServerCertificate", "Trusted_Connection", "MultiSubnetFailover")


def _keyword(name: str) -> str:
    """ODBC's keyword; empty for one that is ignored."""
    plain = name.replace(" ", "").strip().lower()
    known = "" if plain in _IGNORED else _KEYWORDS.get(plain)
    if known is not None:
        return known
    close = difflib.get_close_matches(plain, _KEYWORDS, n=1)
    raise _bad(f'unknown connection string keyword "{name.strip()}"', f'Did you mean "{close[0]}"?' if close else "")


def _settings(found: dict[str, str]) -> ConnectionSettings:
    timeout = found.pop("timeout", "")
    if timeout and not timeout.isdigit():
        raise _bad("the connection timeout must be a number of seconds")
    port = found.pop("port", "")
    if not found.get("SERVER") and "DSN" not in found:
        raise _bad("the connection string has no server", 'Add "server=HOST,1433".')
    if not found.get("DATABASE"):
        raise _bad("the connection string has no database", 'Add "database=NAME".')
    for keyword in ("UID", "PWD"):
        if _PLACEHOLDER.fullmatch(found.get(keyword, "")):
            raise _bad(f"{keyword} in the connection string is still a placeholder", "Replace it with the real value.")
    if found.get("HostnameInCertificate", "").startswith("*"):
        # A pattern in JDBC only. Without the keyword, the driver checks the certificate against the server's name.
        del found["HostnameInCertificate"]
    if "Authentication" in found:
        found["Authentication"] = _authentication(found["Authentication"])
    if port:
        found["SERVER"] = f"{found['SERVER']},{port}"
    for keyword, forms in [("Encrypt", _ENCRYPT), *((name, _BOOLEAN) for name in _BOOLEANS)]:
        if keyword in found:
            found[keyword] = _one_of(keyword, found[keyword], forms)
    return ConnectionSettings(tuple(found.items()), **({"login_timeout_s": int(timeout)} if timeout else {}))


def _one_of(keyword: str, value: str, forms: dict[str, str]) -> str:
    known = forms.get(value.strip().lower())
    if known is None:
        raise _bad(f"{keyword} in the connection string must be one of {', '.join(forms)}")
    return known


def _authentication(value: str) -> str:
    plain = value.replace(" ", "").lower()
    known = _AUTHENTICATIONS.get(plain)
    if known is None:
        message = _REFUSED_AUTHENTICATIONS.get(plain, "the value of Authentication is unknown")
        if plain in _CREDENTIALS:
            raise _bad(message, f'Remove Authentication, and set credential = "{_CREDENTIALS[plain]}".')
        raise _bad(
            message,
            "Use ActiveDirectoryMsi (managed identity; UID=CLIENT_ID if it is user-assigned), "
            "ActiveDirectoryServicePrincipal (UID=CLIENT_ID;PWD=CLIENT_SECRET), ActiveDirectoryPassword, "
            "ActiveDirectoryIntegrated or SqlPassword; or the setting credential.",
        )
    return known


def _jdbc_pairs(text: str) -> Iterator[tuple[str, str]]:
    """Parse `HOST\\INSTANCE:PORT;key=value;..`; every part is optional."""
    address, _, properties = text.partition(";")
    match = re.fullmatch(r"(.*?)/?(?::(\d+))?/?", address.strip(), re.DOTALL)
    assert match is not None
    if match[1]:
        yield "server", match[1]
    if match[2]:
        yield "port", match[2]
    yield from _keyword_pairs(properties)


def _url_pairs(text: str) -> Iterator[tuple[str, str]]:
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise _bad("the connection string is not a valid sqlserver:// URL") from error
    instance = unquote(url.path.strip("/"))
    host = unquote(url.hostname or "")
    yield "server", (f"{host}\\{instance}" if instance else host) + (f",{port}" if port else "")
    if url.username is not None:
        yield "user id", unquote(url.username)
    if url.password is not None:
        yield "password", unquote(url.password)
    yield from parse_qsl(url.query, keep_blank_values=True)


def _keyword_pairs(text: str) -> Iterator[tuple[str, str]]:
    """Parse `key=value;..`. A value in braces or quotes can contain any character; the closing one is doubled."""
    at = 0
    while at < len(text):
        if text[at] in "; \t\r\n":
            at += 1
            continue
        equals = text.find("=", at)
        semicolon = text.find(";", at)
        if equals < 0 or 0 <= semicolon < equals:
            # This may be part of an unquoted password, so the message does not repeat it.
            raise _bad("part of the connection string has no =", "Put a value that contains ; in braces: PWD={a;b}.")
        name = text[at:equals]
        value, at = _value(text, equals + 1)
        yield name, value


def _value(text: str, at: int) -> tuple[str, int]:
    while at < len(text) and text[at] in " \t":
        at += 1
    closing = {"{": "}", '"': '"', "'": "'"}.get(text[at : at + 1])
    if closing is None:
        end = text.find(";", at)
        end = len(text) if end < 0 else end
        return text[at:end].strip(), end + 1
    value = ""
    at += 1
    while True:
        end = text.find(closing, at)
        if end < 0:
            raise _bad(f"a value in the connection string has no closing {closing}")
        value += text[at:end]
        if text[end + 1 : end + 2] != closing:
            break
        value += closing
        at = end + 2
    rest = text.find(";", end)
    rest = len(text) if rest < 0 else rest
    if text[end + 1 : rest].strip():
        raise _bad(f"a value in the connection string has text after its closing {closing}")
    return value, rest + 1


def _quoted(value: str) -> str:
    if value and not set(value) & set(";{}=[]()'\"") and value == value.strip():
        return value
    return "{" + value.replace("}", "}}") + "}"


def _bad(message: str, hint: str = "") -> ConfigError:
    return ConfigError("mssql.connection_string", message, hint=hint, config_path=CONFIG_PATH)
