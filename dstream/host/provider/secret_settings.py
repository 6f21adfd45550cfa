"""Finds the values in a config that the provider's schema marks as secret (`writeOnly`).

Uses `describe`, once per executable, before the provider receives its config and could reveal it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from dstream.errors import ConfigError
from dstream.host.provider.describe import introduce
from dstream.host.provider.link import TICK_S, ProviderLink
from dstream.host.provider.memory import recall, remember
from dstream.host.provider.spec import ProviderSpec
from dstream.protocol.messages import Hello, Role
from dstream.redact import Redactor

_ANSWER_S = 30.0
_DEEPEST = 16
"""Maximum depth in a schema, references included, because a schema may refer to itself."""
_ANY = "*"
"""In a path: each item of a list, or each value of a map."""

SettingPath = tuple[str, ...]
_asking: dict[tuple[str, ...], Future[Sequence[SettingPath]]] = {}
"""The executables being asked at the moment, by any task of this process."""


class NotDescribed(Exception):
    """The provider has the capability `describe`, but sent no description."""


def learn_secrets(
    link: ProviderLink,
    redactor: Redactor,
    cwd: Path | None,
    log: Callable[..., None],
    check_stop: Callable[[], None],
) -> None:
    """Pass the secret values in the provider's config to the redactor, before the provider receives the config.

    Logs `provider.not_described` if the provider can describe its settings but does not. `check_stop` may raise.
    """
    hello = link.handshake.hello
    if hello is None:
        return
    try:
        redactor.learn(secret_values(link.spec, hello, link.role, cwd, check_stop))
    except NotDescribed:
        log("warning", "provider.not_described", role=link.role, provider=link.name)


def secret_values(
    spec: ProviderSpec, hello: Hello, role: Role, cwd: Path | None, check_stop: Callable[[], None] = lambda: None
) -> list[str]:
    """Return the secret texts in the config. Raises NotDescribed."""
    if not spec.config or "describe" not in hello.capabilities:
        return []
    paths = _paths_of(spec, role, cwd, check_stop)
    return [text for path in paths for text in _texts_at(spec.config, path)]


def _paths_of(
    spec: ProviderSpec, role: Role, cwd: Path | None, check_stop: Callable[[], None]
) -> Sequence[SettingPath]:
    """Return the paths of the secret settings. Tasks that start together ask each executable once."""
    executable = tuple(spec.argv)
    mine: Future[Sequence[SettingPath]] = Future()
    while (asked := _asking.setdefault(executable, mine)) is not mine:
        check_stop()
        with suppress(TimeoutError, CancelledError):  # cancelled: the task that asked was stopped
            return asked.result(TICK_S)
    try:
        known = recall(spec.argv)
        paths = known.secret_paths
        if paths is None:
            paths = tuple(_asked(spec, role, cwd, check_stop))
            remember(spec.argv, msgspec.structs.replace(known, secret_paths=paths))
        mine.set_result(paths)
        return paths
    except NotDescribed as error:
        mine.set_exception(error)
        raise
    finally:
        del _asking[executable]
        mine.cancel()  # without effect if there is a result


def _asked(spec: ProviderSpec, role: Role, cwd: Path | None, check_stop: Callable[[], None]) -> Iterator[SettingPath]:
    try:
        found = introduce(spec, role, cwd=cwd, timeout_s=_ANSWER_S, describe=True, check_stop=check_stop)
    except ConfigError as error:
        raise NotDescribed from error
    if found.description is None:
        raise NotDescribed
    schema = found.description.config_schema
    yield from dict.fromkeys(secret_paths(schema, schema))


def secret_paths(
    schema: Any, document: Mapping[str, Any], path: SettingPath = (), depth: int = 0
) -> Iterator[SettingPath]:
    """Yield the paths of all settings that the JSON schema marks as `writeOnly`."""
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return
    depth += 1
    if schema.get("writeOnly") is True:
        yield path
        return
    reference = schema.get("$ref")
    if isinstance(reference, str):
        yield from secret_paths(_referenced(reference, document), document, path, depth)
    for keyword in ("anyOf", "oneOf", "allOf"):
        for each in schema.get(keyword) or ():
            yield from secret_paths(each, document, path, depth)
    for name, inner in (schema.get("properties") or {}).items():
        yield from secret_paths(inner, document, (*path, name), depth)
    for keyword in ("items", "additionalProperties"):
        yield from secret_paths(schema.get(keyword), document, (*path, _ANY), depth)


def _referenced(reference: str, document: Mapping[str, Any]) -> Any:
    """Resolve a reference such as `#/$defs/Name`."""
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _texts_at(value: Any, path: SettingPath) -> Iterator[str]:
    if path and isinstance(value, Mapping):
        for each in value.values() if path[0] == _ANY else (value.get(path[0]),):
            yield from _texts_at(each, path[1:])
    elif path and path[0] == _ANY and isinstance(value, list):
        for each in value:
            yield from _texts_at(each, path[1:])
    elif not path:
        yield from _texts_in(value)


def _texts_in(value: Any) -> Iterator[str]:
    """Yield every text in a secret, whatever its type."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts_in(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts_in(each)
    elif value is not None and not isinstance(value, bool):
        yield str(value)
