"""What a provider's description says about its config, learned before the provider receives the config: the settings
that are secret, and the types that its values must have.

Uses `describe`, once per executable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from dstream.errors import ConfigError, ConfigErrors
from dstream.host.provider.describe import introduce
from dstream.host.provider.link import TICK_S, ProviderLink
from dstream.host.provider.memory import recall, remember
from dstream.host.provider.read_settings import read_settings
from dstream.host.provider.secret_settings import secret_values
from dstream.host.provider.spec import ProviderSpec
from dstream.protocol.messages import Hello, Role
from dstream.redact import Redactor

_ANSWER_S = 30.0
_asking: dict[tuple[str, ...], Future[Mapping[str, Any]]] = {}
"""The executables being asked at the moment, by any task of this process."""


class NotDescribed(Exception):
    """The provider has the capability `describe`, but sent no description."""


def learn_settings(
    link: ProviderLink,
    redactor: Redactor,
    cwd: Path | None,
    log: Callable[..., None],
    check_stop: Callable[[], None],
) -> None:
    """Pass the secret values in the provider's config to the redactor, and fit the config to the schema.

    Logs `provider.not_described` if the provider can describe its settings but does not. `check_stop` may raise. Raises
    ConfigErrors for what the provider would refuse. A cached schema refuses nothing: the provider may import a file
    that has changed since.
    """
    hello = link.handshake.hello
    if hello is None or not link.spec.config:
        _hide(link, redactor, {})
        return
    try:
        schema = schema_of(link.spec, hello, link.role, cwd, check_stop)
        if schema is None:
            _hide(link, redactor, {})
            return
        try:
            _fit(link, redactor, schema)
        except (ConfigError, ConfigErrors):
            current = schema_of(link.spec, hello, link.role, cwd, check_stop, cached=False)
            if current is None or current == schema:
                raise
            _fit(link, redactor, current)
    except NotDescribed:
        _hide(link, redactor, {})
        log("warning", "provider.not_described", role=link.role, provider=link.name)


def _fit(link: ProviderLink, redactor: Redactor, schema: Mapping[str, Any]) -> None:
    _hide(link, redactor, schema)
    if link.spec.fit is not None:
        link.config = link.spec.fit(schema)


def _hide(link: ProviderLink, redactor: Redactor, schema: Mapping[str, Any]) -> None:
    """Pass what is secret, and what is hidden since `env()` or `file()` has read it. An empty schema marks nothing."""
    redactor.learn(secret_values(link.spec.config, schema))
    redactor.learn_read(*read_settings(link.spec.config, link.spec.read, schema))


def schema_of(
    spec: ProviderSpec,
    hello: Hello,
    role: Role,
    cwd: Path | None,
    check_stop: Callable[[], None] = lambda: None,
    *,
    cached: bool = True,
) -> Mapping[str, Any] | None:
    """Return the JSON schema of the config; None without the capability `describe`. Raises NotDescribed.

    `cached`: an earlier answer of this executable will do.
    """
    if "describe" not in hello.capabilities:
        return None
    return _known(spec, role, cwd, check_stop, cached=cached)


def _known(
    spec: ProviderSpec, role: Role, cwd: Path | None, check_stop: Callable[[], None], *, cached: bool
) -> Mapping[str, Any]:
    """Return the schema. Tasks that start together ask each executable once."""
    executable = tuple(spec.argv)
    mine: Future[Mapping[str, Any]] = Future()
    while (asked := _asking.setdefault(executable, mine)) is not mine:
        check_stop()
        with suppress(TimeoutError, CancelledError):  # cancelled: the task that asked was stopped
            return asked.result(TICK_S)
    try:
        known = recall(spec.argv)
        schema = known.config_schema if cached else None
        if schema is None:
            schema = _asked(spec, role, cwd, check_stop)
            remember(spec.argv, msgspec.structs.replace(known, config_schema=schema))
        mine.set_result(schema)
        return schema
    except NotDescribed as error:
        mine.set_exception(error)
        raise
    finally:
        del _asking[executable]
        mine.cancel()  # without effect if there is a result


def _asked(spec: ProviderSpec, role: Role, cwd: Path | None, check_stop: Callable[[], None]) -> dict[str, Any]:
    try:
        found = introduce(spec, role, cwd=cwd, timeout_s=_ANSWER_S, describe=True, check_stop=check_stop)
    except ConfigError as error:
        raise NotDescribed from error
    if found.description is None:
        raise NotDescribed
    return found.description.config_schema
