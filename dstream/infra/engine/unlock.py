"""Removes the locks of a task's stack, for `dstream unlock`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dstream.infra.engine.environment import place_of
from dstream.infra.engine.locks import StackLockHolder, holders_in, remove

if TYPE_CHECKING:
    from dstream.protocol.messages import Infrastructure


def release(infrastructure: Infrastructure, environ: Mapping[str, str]) -> list[StackLockHolder]:
    """Remove every lock of the task's stack, even of a running process, and return their holders.

    Ask the user first: a process that continues without its lock may damage the record. For a file backend, this does
    not use the engine, which would need the passphrase and a record. Raises DStreamError.
    """
    place = place_of(infrastructure, environ)
    found = holders_in(place)
    if place.lock_folder is None:
        from dstream.infra.engine.opening import cancel  # imports the engine's SDK

        cancel(place, environ)
    remove(found)
    return found
