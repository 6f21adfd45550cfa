"""Which checkpoints are kept for `dstream state rollback`, and under which name. The same rule on every backend."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence

from dstream.errors import ConfigError
from dstream.state._document import StoredState, decode_state, file_name

HISTORY_EVERY_S = 60.0
"""A task stores up to 20 checkpoints per second. Keeping each would double the writes and reach back seconds."""
_LONGEST = 48


class HistoryPace:
    """Decides which of the saved checkpoints is kept as well: the first one, then at most one per minute."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`most`: how many checkpoints are kept; 0: none."""
        self.most = most
        self._clock = clock
        self._next_s = 0.0

    @property
    def is_due(self) -> bool:
        return self.most > 0 and self._clock() >= self._next_s

    def kept(self) -> None:
        """The current checkpoint is kept; or it could not be, which is tried again in a minute."""
        self._next_s = self._clock() + HISTORY_EVERY_S


def entry_name(state: StoredState) -> str:
    """Return the name of a kept checkpoint, a single path component. Names sort by the time of storage."""
    return "_".join(file_name(part)[:_LONGEST] for part in (state.stored_at, f"{state.seq:012}", state.run_id))


def decoded(documents: Iterable[bytes]) -> Sequence[StoredState]:
    """Return the kept checkpoints, newest first. A damaged one is omitted: it must not stand in the way of others."""
    found = []
    for document in documents:
        with contextlib.suppress(ConfigError):
            found.append(decode_state(document, source="", hint=""))
    return sorted(found, key=entry_name, reverse=True)
