"""Signs in to Microsoft Entra ID with the credentials that the ODBC driver lacks, and hands it the token.

"Using Microsoft Entra ID with the ODBC Driver", Authenticating with an access token: the attribute
SQL_COPT_SS_ACCESS_TOKEN takes the size of the token as an unsigned 32-bit number and the token with a zero byte after
each byte; UID, PWD, Authentication and Trusted_Connection must not be in the connection string.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from dstream.sdk.errors import AuthError, ConfigError, DStreamError, SystemFault, UnreachableError
from dstream_mssql_cdc.errors import ReadInterrupted

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from dstream_mssql_cdc.config import Config, Credential
    from dstream_mssql_cdc.server.connection_string import ConnectionSettings

SQL_COPT_SS_ACCESS_TOKEN = 1256
SCOPE = "https://database.windows.net/.default"

_LOGIN_KEYWORDS = ("UID", "PWD", "Authentication", "Trusted_Connection")
_LONGEST = 1000
_HINTS: dict[Credential, str] = {
    "default": "Check the environment, the managed identity or `az login`, or set credential to the one to use.",
    "managed_identity": "Assign a managed identity to the machine. For a user-assigned one, set client_id.",
    "workload_identity": "Set client_id and tenant_id, and let the pod use workload identity "
    "(AZURE_FEDERATED_TOKEN_FILE).",
    "client_secret": "Check tenant_id, client_id and client_secret, and whether the secret has expired.",
    "cli": "Run `az login`.",
}


class SignIn:
    """A credential, which keeps its token until shortly before it expires."""

    def __init__(self, name: Credential, credential: TokenCredential) -> None:
        self._name = name
        self._credential = credential

    def attributes(self, *, connected_before: bool) -> dict[int, bytes]:
        """The attributes for a connection, with a token that has not expired. Raises AuthError or UnreachableError;
        ReadInterrupted instead of the latter if `connected_before`."""
        from azure.core.exceptions import AzureError

        try:
            token = self._credential.get_token(SCOPE).token
        except (AzureError, ValueError, OSError) as error:
            raise _failed(self._name, error, connected_before=connected_before) from error
        return {SQL_COPT_SS_ACCESS_TOKEN: access_token(token)}


def access_token(token: str) -> bytes:
    """The ACCESSTOKEN structure of the driver's msodbcsql.h."""
    data = token.encode("utf-16-le")
    return struct.pack("<I", len(data)) + data


def sign_in(config: Config, settings: ConnectionSettings) -> SignIn | None:
    """The sign-in of `credential`; None if it is not set. Raises ConfigError, AuthError or SystemFault."""
    name = config.credential
    if name is None:
        return None
    if found := [keyword for keyword in _LOGIN_KEYWORDS if settings.get(keyword)]:
        raise ConfigError(
            "mssql.two_credentials",
            f"credential and {found[0]} in the connection string are two ways to log in",
            hint=f"Remove {', '.join(found)} from db_connection_string, or credential.",
            config_path="credential",
        )
    if name == "client_secret" and not (config.tenant_id and config.client_id and config.client_secret):
        raise ConfigError(
            "mssql.incomplete_credential",
            'credential "client_secret" needs tenant_id, client_id and client_secret',
            config_path="credential",
        )
    try:
        return SignIn(name, _credential(name, config))
    except ValueError as error:  # a malformed tenant_id, or a part that the environment lacks
        raise _failed(name, error, connected_before=False) from error


def _credential(name: Credential, config: Config) -> TokenCredential:
    try:
        import azure.identity as identity
    except ImportError as error:
        raise SystemFault(
            "mssql.azure_identity_missing",
            f"credential needs the package azure-identity: {error}",
            hint="Install it: pip install azure-identity",
            config_path="credential",
        ) from error
    tenant_id, client_id = config.tenant_id or "", config.client_id or ""
    match name:
        case "default":
            return identity.DefaultAzureCredential()
        case "managed_identity":
            return identity.ManagedIdentityCredential(client_id=client_id or None)
        case "workload_identity":
            return identity.WorkloadIdentityCredential(tenant_id=tenant_id or None, client_id=client_id or None)
        case "cli":
            return identity.AzureCliCredential()
        case "client_secret":
            secret = config.client_secret.reveal() if config.client_secret else ""
            return identity.ClientSecretCredential(tenant_id, client_id, secret)


def _failed(name: Credential, error: Exception, *, connected_before: bool) -> DStreamError:
    message = f'credential "{name}" got no token: {" ".join(str(error).split())[:_LONGEST]}'
    if not _is_unreachable(error):
        return AuthError("mssql.sign_in_failed", message, hint=_HINTS[name], config_path="credential")
    if connected_before:
        return ReadInterrupted("mssql.interrupted", message)
    return UnreachableError(
        "mssql.unreachable",
        message,
        hint="Check the network and the proxy between this machine and Microsoft Entra ID.",
        config_path="credential",
    )


def _is_unreachable(error: BaseException) -> bool:
    """Whether the identity provider did not answer. azure-identity turns the errors of its transport into
    ClientAuthenticationError (`_internal/decorators.py`); a credential that is not there is
    CredentialUnavailableError."""
    from azure.core.exceptions import ServiceRequestError, ServiceResponseError
    from azure.identity import CredentialUnavailableError

    if isinstance(error, CredentialUnavailableError):
        return False
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ServiceRequestError | ServiceResponseError | OSError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
