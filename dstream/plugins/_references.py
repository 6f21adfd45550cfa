"""Turns a `provider_ref` into a program of this machine: which binary it stands for, and where that is.

With a lock file next to the configuration, only what it lists is installed, whatever the tag means by now. Without one,
the first command pulls what the tag means, and the machine keeps it (`PluginStore.pin`).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dstream.config.files import LOCK_FILE
from dstream.config.hcl.refusal import refusal
from dstream.errors import ConfigError, DStreamError, RefusedError, SourceLocation, UnreachableError
from dstream.plugins._allowed import is_in_environment, refuse_unlisted
from dstream.plugins._lock_file import Pin, read_lock
from dstream.plugins._platform import this_platform
from dstream.plugins._store import PluginStore
from dstream.registry import Reference, RegistryClient, binaries_in, parse_reference

_OFFLINE = "DSTREAM_OFFLINE"
_NOTED_BYTES = 4 * 1024 * 1024
"""How often a pull reports its progress."""
_PULLING = threading.Lock()
"""Held while pulling: tasks that start concurrently often use the same provider."""
_BUILT_IN_ALTERNATIVES = {
    "dstream-ingester-mssql": "mssql_cdc",
    "dstream-in-mssql": "mssql_cdc",
    "mssql-cdc-provider": "mssql_cdc",
    "dstream-out-asb": "servicebus",
    "dstream-counter-input-provider": "counter",
    "dstream-in-counter": "counter",
    "dstream-console-output-provider": "console",
    "dstream-out-console": "console",
    "dstream-log-output-provider": "console",
    "dstream-out-log": "console",
}
"""Repositories of the original DStream's providers (katasec/dstream, docs/naming-convention.md) -> ours."""


@dataclass(frozen=True, slots=True)
class Pull:
    """How far the pull of a binary is. `received`: bytes so far."""

    reference: str
    platform: str
    received: int
    is_done: bool = False


OnPull = Callable[[Pull], None]


def _ignore(_: Pull) -> None:
    pass


def from_reference(
    text: str,
    folder: Path,
    environ: Mapping[str, str],
    *,
    listed: Collection[str] | None = None,
    place: SourceLocation | None = None,
    on_pull: OnPull = _ignore,
) -> list[str]:
    """Return the command of a `provider_ref`; pull the binary first if it is not installed.

    `folder`: where the lock file may be. `listed`: `allowed_providers`. Raises
    ConfigError `provider.not_locked`, `provider.no_platform`, `provider.not_allowed`, `lock.invalid` and those of the
    registry; UnreachableError `provider.not_installed` if DSTREAM_OFFLINE is set.
    """
    with explained(text, place):
        reference = parse_reference(text)
        pin = _pin_of(reference, folder, environ)
        platform = this_platform()
        digest = binary_of(reference, pin, platform)
        refuse_unlisted(names_of(reference), digest, listed, environ)
        return [str(install(reference, platform, digest, environ, on_pull=on_pull)[0])]


@contextlib.contextmanager
def explained(text: str, place: SourceLocation | None) -> Iterator[None]:
    """Give the errors of the block the place of the reference, and the hint that its provider is built in."""
    try:
        yield
    except DStreamError as error:
        error.hint = " ".join(filter(None, [error.hint, built_in_hint(text)]))
        raise error.at(error.place or place) from error.__cause__


def install(
    reference: Reference,
    platform: str,
    digest: str,
    environ: Mapping[str, str],
    *,
    on_pull: OnPull = _ignore,
) -> tuple[Path, bool]:
    """Return the path of a binary, and whether it was pulled just now."""
    store = PluginStore(environ)
    with _PULLING:
        found = store.binary(reference, platform, digest)
        if found is not None:
            return found, False
        _refuse_offline(reference, environ)
        content = RegistryClient(reference, environ).download(digest)
        try:
            return store.add(reference, platform, digest, _noted(content, str(reference), platform, on_pull)), True
        except ConfigError as error:
            if error.code != "registry.not_found":
                raise
            raise ConfigError(
                "registry.not_found",
                f"{reference.registry} no longer has the binary {digest} of {reference}",
                hint="The tag may have moved: compare with `dstream provider lock`.",
            ) from error


def pinned(reference: Reference, environ: Mapping[str, str]) -> Pin:
    """Ask the registry what the reference stands for."""
    _refuse_offline(reference, environ)
    manifest, digest = RegistryClient(reference, environ).manifest()
    return Pin(digest, binaries_in(manifest, reference))


def binary_of(reference: Reference, pin: Pin, platform: str) -> str:
    """Return the digest of a platform's binary. Raises ConfigError `provider.no_platform`."""
    if platform in pin.platforms:
        return pin.platforms[platform]
    raise ConfigError(
        "provider.no_platform",
        f"{reference} has no binary for {platform}",
        hint=f"It has binaries for {', '.join(sorted(pin.platforms)) or 'no platform'}.",
    )


def refuse_moved(reference: Reference, old: Pin, new: Pin) -> None:
    """Raise RefusedError `provider.tag_moved` unless both pins are the same artifact."""
    if old.manifest != new.manifest:
        raise RefusedError(
            "provider.tag_moved",
            f"{reference} is {new.manifest} now, but {LOCK_FILE} has {old.manifest}",
            hint="Find out who pushed the tag again and why. To accept it, run `dstream provider lock --upgrade`.",
        )


def refuse_untrusted_reference(
    text: str, folder: Path, environ: Mapping[str, str], *, place: SourceLocation | None = None
) -> None:
    """Raise RefusedError unless the lock file has the reference, and DSTREAM_ALLOWED_PROVIDERS its name or digest.

    The lock file is as untrusted as the configuration, so it alone allows nothing.
    """
    with explained(text, place):
        reference = parse_reference(text)
    pin = (read_lock(folder / LOCK_FILE) or {}).get(str(reference))
    if pin is None or not is_in_environment(names_of(reference), pin.platforms.get(this_platform(), ""), environ):
        raise refusal(
            "provider_ref", place, f"Add it to {LOCK_FILE}, and to DSTREAM_ALLOWED_PROVIDERS where the command runs."
        )


def names_of(reference: Reference) -> set[str]:
    """Return how a list of allowed providers can name it: with the tag, or without for any."""
    return {str(reference), reference.registry_and_repository}


def built_in_hint(text: str) -> str:
    """Return a hint if the reference is a provider of the original DStream that has an equivalent; otherwise ""."""
    name = text.partition("@")[0].rpartition("/")[2].partition(":")[0]
    alternative = _BUILT_IN_ALTERNATIVES.get(name)
    return f'DStream includes its equivalent: use provider = "{alternative}".' if alternative else ""


def _noted(content: Iterable[bytes], reference: str, platform: str, on_pull: OnPull) -> Iterator[bytes]:
    received = noted = 0
    on_pull(Pull(reference, platform, 0))
    for chunk in content:
        yield chunk
        received += len(chunk)
        if received - noted >= _NOTED_BYTES:
            noted = received
            on_pull(Pull(reference, platform, received))
    on_pull(Pull(reference, platform, received, is_done=True))


def _pin_of(reference: Reference, folder: Path, environ: Mapping[str, str]) -> Pin:
    lock = read_lock(folder / LOCK_FILE)
    if lock is not None:
        if pin := lock.get(str(reference)):
            return pin
        raise ConfigError(
            "provider.not_locked",
            f"{reference} is not in {LOCK_FILE}",
            hint="Add it with `dstream provider install`, and commit the file.",
        )
    store = PluginStore(environ)
    with _PULLING:
        if pin := store.pin(reference):
            return pin
        pin = pinned(reference, environ)
        store.remember(reference, pin)
        return pin


def _refuse_offline(reference: Reference, environ: Mapping[str, str]) -> None:
    if environ.get(_OFFLINE, "") not in ("", "0", "false"):
        raise UnreachableError(
            "provider.not_installed",
            f"{reference} is not installed, and {_OFFLINE} is set",
            hint="Run `dstream provider install` where the registry can be reached, with the same home folder.",
        )
