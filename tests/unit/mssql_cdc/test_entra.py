"""Signing in to Entra ID: what the driver receives, and what a failure says."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.identity import CredentialUnavailableError
from dstream_mssql_cdc.config import Config
from dstream_mssql_cdc.errors import ReadInterrupted
from dstream_mssql_cdc.server.connection_string import parse_connection_string
from dstream_mssql_cdc.server.entra import SCOPE, SignIn, access_token, sign_in

from dstream.sdk import decode_config
from dstream.sdk.errors import AuthError, ConfigError, DStreamError, UnreachableError


class Credential:
    """Returns a new token at each call, or fails."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.scopes: list[str] = []
        self._failure = failure

    def get_token(self, *scopes: str, **_options: Any) -> AccessToken:
        self.scopes += scopes
        if self._failure:
            raise self._failure
        return AccessToken(f"token {len(self.scopes)}", 0)


def config(**settings: Any) -> Config:
    found: Config = decode_config({"db_connection_string": "x", "tables": ["T"], **settings}, Config)
    return found


def unreachable() -> ClientAuthenticationError:
    """How azure-identity reports that its transport failed."""
    try:
        raise ServiceRequestError("no route to login.microsoftonline.com")
    except ServiceRequestError:
        error = ClientAuthenticationError("Authentication failed: no route to login.microsoftonline.com")
    error.__cause__ = ServiceRequestError("no route to login.microsoftonline.com")
    return error


def test_the_driver_receives_the_size_and_the_token_with_padding_bytes() -> None:
    assert access_token("eyJ") == struct.pack("<I", 6) + b"e\0y\0J\0"


def test_every_connection_gets_a_token_for_azure_sql() -> None:
    credential = Credential()
    one = SignIn("cli", credential)
    attributes = [one.attributes(connected_before=False) for _ in range(2)]
    assert attributes == [{1256: access_token("token 1")}, {1256: access_token("token 2")}]
    assert credential.scopes == [SCOPE, SCOPE]


@pytest.mark.parametrize(
    ("failure", "connected", "kind", "code"),
    [
        (CredentialUnavailableError("Azure CLI not found on path"), False, AuthError, "sign_in_failed"),
        (ClientAuthenticationError("AADSTS7000215: Invalid client\nsecret"), True, AuthError, "sign_in_failed"),
        (unreachable(), False, UnreachableError, "unreachable"),
        (unreachable(), True, ReadInterrupted, "interrupted"),
        (ServiceRequestError("proxy"), True, ReadInterrupted, "interrupted"),
    ],
)
def test_a_failed_sign_in_names_the_credential_and_the_cause(
    failure: Exception, connected: bool, kind: type[DStreamError], code: str
) -> None:
    with pytest.raises(DStreamError) as caught:
        SignIn("client_secret", Credential(failure)).attributes(connected_before=connected)
    error = caught.value
    assert (type(error), error.code) == (kind, f"mssql.{code}")
    assert error.message == f'credential "client_secret" got no token: {" ".join(str(failure).split())}'
    assert kind is not AuthError or "client_secret" in error.hint


@pytest.mark.parametrize("login", ["UID=r;PWD=p", "Authentication=ActiveDirectoryMsi", "Trusted_Connection=yes"])
def test_two_ways_to_log_in_are_refused(login: str) -> None:
    settings = parse_connection_string(f"Server=s;Database=d;{login}")
    with pytest.raises(ConfigError) as caught:
        sign_in(config(credential="cli"), settings)
    assert caught.value.code == "mssql.two_credentials"


def test_a_client_secret_needs_a_tenant_and_a_client() -> None:
    settings = parse_connection_string("Server=s;Database=d")
    with pytest.raises(ConfigError) as caught:
        sign_in(config(credential="client_secret", client_id="c"), settings)
    assert caught.value.code == "mssql.incomplete_credential"


def test_what_the_environment_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(AuthError, match="workload_identity") as caught:
        sign_in(config(credential="workload_identity"), parse_connection_string("Server=s;Database=d"))
    assert caught.value.code == "mssql.sign_in_failed"


def test_without_a_credential_nothing_signs_in() -> None:
    assert sign_in(config(), parse_connection_string("Server=s;Database=d;UID=r;PWD=p")) is None
