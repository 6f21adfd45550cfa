"""The outside world of an evaluation, passed in: environment variables, files, the time and key vaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from dstream.config.values.key_vault_secret import KeyVaultReader, NoKeyVault


def utc_now() -> datetime:
    return datetime.now(UTC)


class FileRead(NamedTuple):
    path: Path
    function: str
    """As in the file: `templatefile`."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What expressions can read. `folder`: the folder of the HCL file; relative paths start there."""

    environ: Mapping[str, str]
    folder: Path
    now: Callable[[], datetime]
    vaults: KeyVaultReader = field(default_factory=NoKeyVault)
    is_untrusted: bool = False
    """Whether expressions may read nothing."""
    files_read: set[FileRead] = field(default_factory=set)
    """What expressions have read so far."""
