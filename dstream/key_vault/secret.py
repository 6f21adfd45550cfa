"""The reference `azurekeyvault://VAULT/NAME[/VERSION]`. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_VAULT = re.compile(r"[A-Za-z](?:-?[A-Za-z0-9]){2,23}")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:-*[A-Za-z0-9])*\.)+[A-Za-z]+")
_NAME = re.compile(r"[A-Za-z0-9-]{1,127}")
_VERSION = re.compile(r"[A-Za-z0-9]{1,32}")


@dataclass(frozen=True, slots=True)
class KeyVaultSecret:
    host: str
    name: str
    version: str | None = None
    """None: the latest version."""

    @classmethod
    def parse(cls, reference: str) -> KeyVaultSecret | None:
        """Parse `VAULT/NAME[/VERSION]`, where VAULT is a name in Azure's public cloud or a full host name; None if
        invalid. Microsoft: "Azure Key Vault keys, secrets, and certificates overview", Vault-name and Object-name."""
        vault, *rest = reference.split("/")
        if not 1 <= len(rest) <= 2 or not _NAME.fullmatch(rest[0]):
            return None
        if len(rest) == 2 and not _VERSION.fullmatch(rest[1]):
            return None
        host = f"{vault}.vault.azure.net" if _VAULT.fullmatch(vault) and "." not in vault else vault
        return cls(host.lower(), *rest) if _HOST.fullmatch(host) else None
