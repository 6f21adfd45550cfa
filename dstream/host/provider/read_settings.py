"""Settings with values that `env()` or `file()` has read: what of them is hidden.

Everything, except in settings that the provider's schema marks with `x-identifier`: they name what a plan is about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from dstream.host.provider.secret_settings import marked_settings, texts_in
from dstream.protocol.config_schema import ConfigPath


class ReadSettings(NamedTuple):
    """What to hide and what to show."""

    texts: frozenset[str]
    """Texts to hide wherever they occur."""
    names: frozenset[str]
    """Names of settings whose values are hidden where a name and a value are shown, such as in a plan."""
    identifiers: frozenset[str]
    """Texts in which nothing is hidden."""


def read_settings(
    config: Mapping[str, Any], read: Mapping[ConfigPath, frozenset[str]], schema: Mapping[str, Any]
) -> ReadSettings:
    """Sort the settings. `read`: see `ProviderSpec`."""
    identifiers = dict(marked_settings(config, schema, "x-identifier"))
    hidden = [path for path in read if not any(path[: len(each)] == each for each in identifiers)]
    return ReadSettings(
        frozenset(text for path in hidden for text in read[path]),
        frozenset(
            str(leaf[-1])
            for path in hidden
            for leaf in _leaves(_at(config, path), path)
            if leaf and leaf not in identifiers
        ),
        frozenset(text for value in identifiers.values() for text in texts_in(value)),
    )


def _at(config: Any, path: ConfigPath) -> Any:
    for step in path:
        try:
            config = config[step]
        except (LookupError, TypeError):
            return None  # a setting of a transform, or one without a value
    return config


def _leaves(value: Any, path: ConfigPath) -> Iterator[ConfigPath]:
    """Yield the paths of the values inside a value. Items of a list belong to the setting that is the list."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(item, (*path, name))
    elif isinstance(value, list) and any(isinstance(item, (Mapping, list)) for item in value):
        for i, item in enumerate(value):
            yield from _leaves(item, (*path, i))
    else:
        yield path[:-1] if len(path) > 1 and isinstance(path[-1], int) else path
