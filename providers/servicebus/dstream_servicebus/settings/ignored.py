"""Checks `ignore_changes` and translates it to Azure's property paths. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from dstream_stacks.ignorable import Ignoring, ignorable, ignored_path
from dstream_stacks.spec import Mode

from dstream.sdk.errors import ConfigError


def ignored_paths(kind: Ignoring, mode: Mode, given: Sequence[str] | None, path: str) -> tuple[str, ...]:
    """Return the property paths. `path`: of the setting, for errors. Raises ConfigError for an unknown name."""
    found = []
    for name in given or ():
        known = ignored_path(kind, mode, name)
        if known is None:
            raise _unknown(kind, mode, name, path)
        found.append(known)
    return tuple(dict.fromkeys(found))


def _unknown(kind: Ignoring, mode: Mode, name: str, path: str) -> ConfigError:
    names = sorted(ignorable(kind, mode))
    close = difflib.get_close_matches(name, names, 1)
    return ConfigError(
        "servicebus.unknown_property",
        f'a {kind} has no property "{name}" to ignore',
        hint=(f'Did you mean "{close[0]}"? ' if close else "") + f"Valid names: {', '.join(names)}.",
        config_path=path,
    )
