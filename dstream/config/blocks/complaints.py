"""Collects the errors in a configuration, so that one run reports all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dstream.errors import ConfigError, ConfigErrors


class Complaints:
    def __init__(self) -> None:
        self._errors: dict[int, ConfigError] = {}

    def add(self, error: ConfigError | ConfigErrors) -> None:
        """Add an error. One that occurs again, like that of a local used twice, is kept once."""
        self._errors |= {id(each): each for each in error.errors}

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Add a ConfigError raised in the block and continue after it."""
        try:
            yield
        except (ConfigError, ConfigErrors) as error:
            self.add(error)

    def raise_if_any(self) -> None:
        """Raise the collected errors as ConfigErrors, in file order."""
        if self._errors:
            raise ConfigErrors(sorted(self._errors.values(), key=_position))


def _position(error: ConfigError) -> tuple[str, int, int]:
    return (error.place.file, error.place.line, error.place.column) if error.place else ("", 0, 0)
