"""Checks a provider against lists of those that may start."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from dstream.errors import ConfigError, SourceLocation

_VARIABLE = "DSTREAM_ALLOWED_PROVIDERS"
_DIGEST = "sha256:"


def refuse_unlisted(
    names: Collection[str],
    program: str | Sequence[str],
    listed: Collection[str] | None,
    environ: Mapping[str, str],
    *,
    place: SourceLocation | None = None,
) -> None:
    """Raise ConfigError `provider.not_allowed` unless each list that exists has the provider.

    `names`: what a list can call it; none for a provider_path. `program`: the digest of the file that starts, with
    `sha256:`, or its command, whose last part is the file. `listed`: `allowed_providers` of the file; the other list is
    DSTREAM_ALLOWED_PROVIDERS, separated by commas. An entry is a name or a digest.
    """
    in_environment = _in_environment(environ)
    if listed is not None and not _is_in(listed, names, program):
        raise _refusal(names, program, "allowed_providers", place)
    if in_environment is not None and not _is_in(in_environment, names, program):
        raise _refusal(names, program, _VARIABLE, place)


def is_in_environment(names: Collection[str], digest: str, environ: Mapping[str, str]) -> bool:
    """Whether DSTREAM_ALLOWED_PROVIDERS exists and has the provider."""
    return _is_in(_in_environment(environ) or (), names, digest)


def _in_environment(environ: Mapping[str, str]) -> list[str] | None:
    entries = environ.get(_VARIABLE)
    return None if entries is None else [entry.strip() for entry in entries.split(",") if entry.strip()]


def _is_in(entries: Iterable[str], names: Collection[str], program: str | Sequence[str]) -> bool:
    entries = set(entries)
    if not entries.isdisjoint(names):
        return True
    return any(entry.startswith(_DIGEST) for entry in entries) and _digest(program) in entries


def _digest(program: str | Sequence[str]) -> str:
    """Return the digest; of a command, "" if its last part is not a file."""
    if isinstance(program, str):
        return program
    path = Path(program[-1])
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return f"{_DIGEST}{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _refusal(
    names: Collection[str], program: str | Sequence[str], where: str, place: SourceLocation | None
) -> ConfigError:
    name = max(names, key=len, default=program if isinstance(program, str) else program[-1])
    return ConfigError(
        "provider.not_allowed",
        f'provider "{name}" is not in {where}',
        place=place,
        hint=f"If you trust it, add its name, or {_DIGEST} and the digest that sha256sum prints for its executable.",
    )
