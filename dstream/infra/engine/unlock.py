"""Taking the locks of a task's stack away: what `dstream unlock` does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dstream.infra.engine.environment import place_of
from dstream.infra.engine.locks import StackLockHolder, holders_in, remove

if TYPE_CHECKING:
    from dstream.protocol.messages import Infrastructure


def release(infrastructure: Infrastructure, environ: Mapping[str, str]) -> list[StackLockHolder]:
    """Take every lock of the task's stack away, also a living one; whose they were.

    Of a file backend without the engine, which would want the passphrase and a record. Ask first: a process that goes
    on without its lock may damage the record. Raises DStreamError.
    """
    place = place_of(infrastructure, environ)
    found = holders_in(place)
    if place.lock_folder is None:
        from dstream.infra.engine.session import cancel  # loads the engine's SDK

        cancel(place, environ)
    remove(found)
    return found
