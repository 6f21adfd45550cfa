"""How long a provider has been silent (rule 8), counted only while the host waits to read from it. Pure."""

from __future__ import annotations


class Liveness:
    """Written by a pipe's reader, read by the main thread; a single attribute needs no lock."""

    def __init__(self) -> None:
        self._waiting_since: float | None = None

    def waits(self, now_s: float) -> None:
        """The reader is about to block on the pipe."""
        self._waiting_since = now_s

    def heard(self) -> None:
        """Bytes arrived, or the pipe reached EOF."""
        self._waiting_since = None

    def resumed(self, now_s: float) -> None:
        """This process did not run for a while; what the provider has sent meanwhile is still in the pipe."""
        if self._waiting_since is not None:
            self._waiting_since = now_s

    def silent_s(self, now_s: float) -> float:
        """Return how long the reader has been waiting; 0 while it processes data."""
        since = self._waiting_since
        return 0.0 if since is None else max(0.0, now_s - since)
