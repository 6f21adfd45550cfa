"""Parses connection settings in any of three common forms. Pure.

- ODBC: `Server=tcp:db.example.com,1433;Database=Sales;UID=reader;PWD={p;w};Encrypt=yes`
- the original DStream's (ADO, go-mssqldb):
  `server=db;port=1433;user id=reader;password=pw;database=Sales;encrypt=disable`
- URL: `sqlserver://reader:p%40w@db:1433/INSTANCE?database=Sales&encrypt=true`

Sources: Microsoft "DSN and Connection String Keywords and Attributes" (ODBC driver), "SqlConnection.ConnectionString"
(ADO.NET), and go-mssqldb's README, "Connection Parameters and DSN".
"""

from __future__ import annotations

import difflib
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
    pairs = _url_pairs(text) if text.lower().startswith("sqlserver://") else _keyword_pairs(text)
    found: dict[str, str] = {}
    for name, value in pairs:
        found[_keyword(name)] = value
    return _settings(found)


_KEYWORDS = {
    "server": "SERVER", "data source": "SERVER", "address": "SERVER", "addr": "SERVER", "network address": "SERVER",
    "port": "port",
    "database": "DATABASE", "initial catalog": "DATABASE",
    "uid": "UID", "user id": "UID", "user": "UID", "username": "UID",
    "pwd": "PWD", "password": "PWD",
    "encrypt": "Encrypt",
    "trustservercertificate": "TrustServerCertificate", "trust server certificate": "TrustServerCertificate",
    "hostnameincertificate": "HostnameInCertificate", "host name in certificate": "HostnameInCertificate",
    "servercertificate": "ServerCertificate", "certificate": "ServerCertificate",
    "authentication": "Authentication", "fedauth": "Authentication",
    "trusted_connection": "Trusted_Connection", "integrated security": "Trusted_Connection",
    "applicationintent": "ApplicationIntent", "application intent": "ApplicationIntent",
    "app": "APP", "app name": "APP", "application name": "APP",
    "wsid": "WSID", "workstation id": "WSID",
    "multisubnetfailover": "MultiSubnetFailover",
    "connectretrycount": "ConnectRetryCount", "connectretryinterval": "ConnectRetryInterval",
    "ipaddresspreference": "IpAddressPreference",
    "keepalive": "KeepAlive", "keepaliveinterval": "KeepAliveInterval",
    "packet size": "PacketSize", "packetsize": "PacketSize",
    "serverspn": "ServerSPN", "clientcertificate": "ClientCertificate", "clientkey": "ClientKey",
    "driver": "DRIVER", "dsn": "DSN", "language": "LANGUAGE",
    "connection timeout": "timeout", "connect timeout": "timeout", "dial timeout": "timeout", "timeout": "timeout",
}  # fmt: skip

_ENCRYPT = {
    "disable": "no", "false": "no", "no": "no", "optional": "no", "0": "no",
    "true": "yes", "yes": "yes", "mandatory": "yes", "1": "yes",
    "strict": "strict",
}  # fmt: skip
_BOOLEAN = {"true": "yes", "yes": "yes", "1": "yes", "sspi": "yes", "false": "no", "no": "no", "0": "no"}
_BOOLEANS = ("TrustServerCertificate", "Trusted_Connection", "MultiSubnetFailover")


def _keyword(name: str) -> str:
    known = _KEYWORDS.get(name.strip().lower())
    if known:
        return known
    close = difflib.get_close_matches(name.strip().lower(), _KEYWORDS, n=1)
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
