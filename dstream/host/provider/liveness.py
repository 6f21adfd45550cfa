"""When a provider counts as silent (rule 8): only while the host waits to read from it. Pure; the clock comes in."""

from __future__ import annotations


class Liveness:
    """Told by the reader of a pipe, asked by the main thread; one attribute, so no lock is needed."""

    def __init__(self) -> None:
        self._waiting_since: float | None = None

    def waits(self, now_s: float) -> None:
        """The reader is about to block on the pipe."""
        self._waiting_since = now_s

    def heard(self) -> None:
        """Bytes came, or the pipe ended."""
        self._waiting_since = None

    def silent_s(self, now_s: float) -> float:
        """How long the reader has waited for anything; 0 while it is busy with what came."""
        since = self._waiting_since
        return 0.0 if since is None else max(0.0, now_s - since)
