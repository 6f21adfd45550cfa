"""How an evaluation reads a secret in a key vault, or does without. Pure."""

from __future__ import annotations

from typing import Protocol

from dstream.key_vault.secret import KeyVaultSecret


class Unread(Exception):
    """The value is in a key vault that is not read, so everything that depends on it is unknown."""


class KeyVaultReader(Protocol):
    def read(self, secret: KeyVaultSecret) -> str:
        """Return the secret's value. Raises Unread, ConfigError, AuthError or UnreachableError."""
        ...


class NoKeyVault:
    """For commands that connect to nothing, such as `validate`."""

    def read(self, secret: KeyVaultSecret) -> str:
        raise Unread

    def close(self) -> None:
        pass
