"""Reads, writes and deletes secrets in Azure Key Vault with DefaultAzureCredential.

Imports azure only when a secret is needed. Each request runs in its own thread, because name resolution and the
credentials' commands (`az`) have no deadline: a thread that exceeds it is abandoned and ends with the process.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from dstream.errors import AuthError, ConfigError, DStreamError, UnreachableError
from dstream.key_vault.secret import KeyVaultSecret

if TYPE_CHECKING:
    from azure.core.exceptions import HttpResponseError
    from azure.identity import DefaultAzureCredential
    from azure.keyvault.secrets import SecretClient

DEADLINE_S = 30.0
"""For one secret, including sign-in. Each connection attempt has a shorter deadline."""

_INSTALL = "Install it: pip install azure-identity azure-keyvault-secrets"
_SIGN_IN = (
    "Sign in with `az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, "
    "or run where a managed identity is available."
)
_GRANT = (
    'The identity needs the role "Key Vault Secrets {role}" (or {permission} on secrets in the access policy); '
    "and allow the client in the vault's firewall."
)
_TO_READ = _GRANT.format(role="User", permission="Get")
_TO_WRITE = _GRANT.format(role="Officer", permission="Get, Set, Delete, Recover")
_REACH = (
    "Check the vault's name, the network and its proxy (HTTPS_PROXY); set REQUESTS_CA_BUNDLE for your own certificates."
)


class KeyVaults:
    """Caches one client per vault and one value per secret while one configuration is loaded."""

    def __init__(self, *, deadline_s: float = DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        self._credential: DefaultAzureCredential | None = None
        self._clients: dict[str, SecretClient] = {}
        self._values: dict[KeyVaultSecret, str] = {}

    def read(self, secret: KeyVaultSecret) -> str:
        """Return the value. Raises ConfigError, AuthError or UnreachableError, without the server's response."""
        if secret not in self._values:
            client = self._client(secret.host)
            self._values[secret] = self._within_deadline(secret, lambda: _read(client, secret))
        return self._values[secret]

    def find(self, secret: KeyVaultSecret) -> str | None:
        """Return the value, or None if there is no such secret. Raises as `read` does."""
        try:
            return self.read(secret)
        except ConfigError as error:
            if error.code == "keyvault.secret_not_found":
                return None
            raise

    def write(self, secret: KeyVaultSecret, value: str) -> None:
        """Store the value as the latest version, recovering a deleted secret of this name. Raises as `read` does."""
        client = self._client(secret.host)
        self._values[secret] = self._within_deadline(secret, lambda: _write(client, secret, value))

    def delete(self, secret: KeyVaultSecret) -> None:
        """Delete all versions. The vault keeps them as a deleted secret that can be recovered, for 7 to 90 days
        (Microsoft: "Azure Key Vault soft-delete overview"). Raises as `read` does.
        """
        client = self._client(secret.host)
        self._within_deadline(secret, lambda: _delete(client, secret))
        self._values.pop(secret, None)

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        if self._credential is not None:
            self._credential.close()

    def _within_deadline(self, secret: KeyVaultSecret, request: Callable[[], str]) -> str:
        answers: SimpleQueue[str | BaseException] = SimpleQueue()
        Thread(target=_answer, args=(answers, request), daemon=True).start()
        try:
            answer = answers.get(timeout=self._deadline_s)
        except Empty:
            message = f"key vault {secret.host} did not respond within {self._deadline_s:g} s"
            raise UnreachableError("keyvault.unreachable", message, hint=_REACH) from None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _client(self, host: str) -> SecretClient:
        if host not in self._clients:
            try:
                from azure.identity import DefaultAzureCredential
                from azure.keyvault.secrets import SecretClient
            except ImportError:
                message = "Azure Key Vault requires a package that is not installed"
                raise ConfigError("keyvault.not_installed", message, hint=_INSTALL) from None
            for name in ("azure", "msal"):
                logging.getLogger(name).setLevel(logging.CRITICAL)  # DStream reports each failure once
            if self._credential is None:
                self._credential = DefaultAzureCredential(process_timeout=10)
            self._clients[host] = SecretClient(
                f"https://{host}", self._credential, retry_total=2, connection_timeout=5, read_timeout=10
            )
        return self._clients[host]


def _answer(answers: SimpleQueue[str | BaseException], request: Callable[[], str]) -> None:
    try:
        answers.put(request())
    except Exception as error:  # noqa: BLE001  # raised again by the waiting caller
        answers.put(error)


def _read(client: SecretClient, secret: KeyVaultSecret) -> str:
    from azure.core.exceptions import ResourceNotFoundError

    with _reported(secret, _TO_READ):
        try:
            value = client.get_secret(secret.name, secret.version).value
        except ResourceNotFoundError:
            value = None
    if value is None:
        which = f"{secret.name}, version {secret.version}" if secret.version else secret.name
        hint = f"`az keyvault secret list --vault-name {secret.host.partition('.')[0]}` lists the existing secrets."
        message = f"secret {which} not found in key vault {secret.host}"
        raise ConfigError("keyvault.secret_not_found", message, hint=hint)
    return value


def _write(client: SecretClient, secret: KeyVaultSecret, value: str) -> str:
    from azure.core.exceptions import ResourceExistsError

    with _reported(secret, _TO_WRITE):
        try:
            client.set_secret(secret.name, value)
        except ResourceExistsError:  # 409: a deleted secret keeps its name until it is recovered or purged
            client.begin_recover_deleted_secret(secret.name).wait()
            client.set_secret(secret.name, value)
    return value


def _delete(client: SecretClient, secret: KeyVaultSecret) -> str:
    from azure.core.exceptions import ResourceNotFoundError

    with _reported(secret, _TO_WRITE), suppress(ResourceNotFoundError):
        client.begin_delete_secret(secret.name).wait()  # until then, it cannot be recovered either
    return ""


@contextmanager
def _reported(secret: KeyVaultSecret, to_grant: str) -> Iterator[None]:
    """Raise DStream's errors for those of the client. `to_grant`: the hint if access is denied."""
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

    try:
        yield
    except ClientAuthenticationError as error:
        raise _not_signed_in(secret, error) from None
    except HttpResponseError as error:
        raise _refused(secret, error, to_grant) from None
    except AzureError as error:
        message = f"cannot reach key vault {secret.host}: {_reason(error)}"
        raise UnreachableError("keyvault.unreachable", message, hint=_REACH) from None
    except ValueError:
        message = f"{secret.host} is not a key vault"
        raise ConfigError("keyvault.not_a_vault", message, hint="Check the vault's host name.") from None


def _not_signed_in(secret: KeyVaultSecret, error: HttpResponseError) -> AuthError:
    """Return the error with only Entra ID's error code from the credentials' long message. Source: "Microsoft Entra
    authentication and authorization error codes"."""
    code = re.search(r"AADSTS\d+", str(error))
    why = f" ({code[0]})" if code else " (the vault rejects the token)" if error.response is not None else ""
    return AuthError("keyvault.not_signed_in", f"not signed in to key vault {secret.host}{why}", hint=_SIGN_IN)


def _refused(secret: KeyVaultSecret, error: HttpResponseError, to_grant: str) -> DStreamError:
    status, code = error.status_code or 0, _code(error)
    if status == 403:
        message = f"key vault {secret.host} denies access to secret {secret.name}{code}"
        return AuthError("keyvault.no_access", message, hint=to_grant)
    if status == 409:
        # Microsoft, "Azure Key Vault soft-delete overview": the name stays reserved during deletion and recovery.
        message = f"secret {secret.name} in key vault {secret.host} was deleted and cannot be recovered yet{code}"
        recover = f"az keyvault secret recover --vault-name {secret.host.partition('.')[0]} --name {secret.name}"
        return ConfigError("keyvault.secret_deleted", message, hint=f"Retry in a minute, or recover it: {recover}")
    if status == 429 or status >= 500:
        message = f"key vault {secret.host} is unavailable: HTTP status {status}{code}"
        return UnreachableError("keyvault.unreachable", message, hint="Retry later.")
    message = f"key vault {secret.host} refused the request for {secret.name}: HTTP status {status}{code}"
    return ConfigError("keyvault.refused", message, hint="Check the secret's name and version.")


def _code(error: HttpResponseError) -> str:
    """Return the innermost error code, which distinguishes a firewall from a missing role. Source: Key Vault REST API,
    "Error"."""
    found = error.error
    while inner := getattr(found, "innererror", None):
        found = inner if not isinstance(inner, dict) else None
        if isinstance(inner, dict):
            code = inner.get("code")
            return f" ({code})" if isinstance(code, str) and code.isalnum() else ""
    code = getattr(found, "code", None)
    return f" ({code})" if isinstance(code, str) and code.isalnum() else ""


def _reason(error: Exception) -> str:
    """Return the cause in a few words, without the addresses and objects that upper layers add."""
    text = str(error)
    for known in ("CERTIFICATE_VERIFY_FAILED", "Connection refused", "timed out"):
        if known in text:
            return "its certificate is not trusted" if known.startswith("CERT") else known.lower()
    return "the name cannot be resolved" if "resolve" in text or "Name or service" in text else type(error).__name__
