"""What an evaluation may read from outside: environment variables, files, the time, vaults. All are passed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from dstream.config.values.key_vault_secret import KeyVaultReader, NoKeyVault


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Environment:
    """`folder` is the HCL file's: relative paths start there, wherever the command runs."""

    environ: Mapping[str, str]
    folder: Path
    now: Callable[[], datetime]
    vaults: KeyVaultReader = field(default_factory=NoKeyVault)
