"""The Key Vault secret that holds the stack's connection string, for `output_secret`.

`init` writes it, so that `run` needs neither the engine nor the record. It is not a resource of the stack: the engine
would have to know its value in every plan, and only `init` may list keys.
"""

from __future__ import annotations

from typing import Literal

from dstream.key_vault.client import KeyVaults
from dstream.key_vault.secret import KeyVaultSecret
from dstream.sdk import Resource
from dstream.sdk.errors import ConfigError, DStreamError

_SCHEME = "azurekeyvault://"
_TYPE = "azurekeyvault:Secret"


def parsed(output_secret: str) -> KeyVaultSecret:
    """Return the secret. Raises ConfigError `servicebus.bad_output_secret`."""
    found = KeyVaultSecret.parse(output_secret.removeprefix(_SCHEME)) if output_secret.startswith(_SCHEME) else None
    if found is None or found.version:
        raise ConfigError(
            "servicebus.bad_output_secret",
            f'"{output_secret}" is not a secret in a key vault',
            hint="Use azurekeyvault://VAULT/NAME, without a version: `init` writes new versions.",
            config_path="output_secret",
        )
    return found


class OutputSecret:
    """One secret. Its errors point to the setting."""

    def __init__(self, output_secret: str, vaults: KeyVaults | None = None) -> None:
        self._name = output_secret
        self._secret = parsed(output_secret)
        self._vaults = vaults or KeyVaults()

    def read(self) -> str:
        """Return the connection string. Raises ConfigError if `init` has not written it yet, and the vault's errors."""
        found = self._find()
        if found is None:
            raise ConfigError(
                "servicebus.no_output_secret",
                f"{self._name} does not exist yet",
                hint="Run `dstream init` first: it writes the connection string there.",
                config_path="output_secret",
            )
        return found

    def planned(self, connection_string: str | None) -> Resource:
        """Return what `init` would do. `connection_string`: the recorded one; None if there is none yet."""
        found = self._find()
        if found is not None and found == connection_string:
            return self._resource("same")
        return self._resource("create" if found is None else "update", "the connection string, whose key can only send")

    def actual(self, connection_string: str) -> Resource:
        """Return how it differs from the recorded connection string."""
        found = self._find()
        if found is None:
            return self._resource("delete", "deleted outside DStream")
        if found != connection_string:
            return self._resource("update", "does not contain the recorded connection string")
        return self._resource("same")

    def planned_deletion(self, connection_string: str) -> Resource | None:
        """Return what `destroy` would do, None if there is no secret. One with another value stays in place."""
        found = self._find()
        if found is None:
            return None
        if found != connection_string:
            return self._resource("same", "contains another value, so it stays in place")
        return self._resource("delete", "Key Vault keeps it as a deleted secret for the vault's retention period")

    def deleted(self, connection_string: str) -> Resource | None:
        """Delete it if it contains the connection string. Return what was done."""
        step = self.planned_deletion(connection_string)
        if step is not None and step.op == "delete":
            try:
                self._vaults.delete(self._secret)
            except DStreamError as error:
                raise self._at_setting(error) from None
        return step

    def written(self, connection_string: str) -> Resource:
        """Write the connection string unless it is there already. Return what was done."""
        step = self.planned(connection_string)
        if step.op != "same":
            try:
                self._vaults.write(self._secret, connection_string)
            except DStreamError as error:
                raise self._at_setting(error) from None
        return step

    def _find(self) -> str | None:
        try:
            return self._vaults.find(self._secret)
        except DStreamError as error:
            raise self._at_setting(error) from None

    def _resource(self, op: Literal["same", "create", "update", "delete"], note: str = "") -> Resource:
        return Resource(self._name, _TYPE, op, note=note, kind="secret")

    def _at_setting(self, error: DStreamError) -> DStreamError:
        error.config_path = "output_secret"
        return error
