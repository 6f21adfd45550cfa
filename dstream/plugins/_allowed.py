"""Checks a provider against lists of those that may start."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from dstream.errors import ConfigError, SourceLocation

_VARIABLE = "DSTREAM_ALLOWED_PROVIDERS"
_DIGEST = "sha256:"


def refuse_unlisted(
    provider: str | None,
    argv: Sequence[str],
    listed: Collection[str] | None,
    environ: Mapping[str, str],
    *,
    place: SourceLocation | None = None,
) -> None:
    """Raise ConfigError `provider.not_allowed` unless each list that exists has the provider.

    `listed`: `allowed_providers` of the file; the other list is DSTREAM_ALLOWED_PROVIDERS, separated by commas. An
    entry is a name, or `sha256:` and the digest of the file that starts: the last part of `argv`. A provider_path has
    no name.
    """
    in_environment = environ.get(_VARIABLE)
    if listed is not None:
        _check(provider, argv, listed, "allowed_providers", place)
    if in_environment is not None:
        entries = [entry.strip() for entry in in_environment.split(",") if entry.strip()]
        _check(provider, argv, entries, _VARIABLE, place)


def _check(
    provider: str | None, argv: Sequence[str], entries: Iterable[str], where: str, place: SourceLocation | None
) -> None:
    entries = set(entries)
    if provider is not None and provider in entries:
        return
    program = Path(argv[-1])
    if any(entry.startswith(_DIGEST) for entry in entries) and program.is_file():
        with program.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if f"{_DIGEST}{digest}" in entries:
            return
    raise ConfigError(
        "provider.not_allowed",
        f'provider "{provider or program}" is not in {where}',
        place=place,
        hint=f"If you trust it, add its name, or {_DIGEST} and the digest that sha256sum prints for its executable.",
    )
