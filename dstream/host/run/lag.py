"""How far the destination is behind the source. Pure: the caller passes the time."""

from __future__ import annotations

from typing import NamedTuple


class _Reported(NamedTuple):
    lag_s: float
    at_s: float
    grows: bool

    def at(self, now_s: float) -> float:
        return self.lag_s + (now_s - self.at_s if self.grows else 0.0)


class Lag:
    """The input's lag, which grows while nothing can be read, and the age of the oldest row that is not durable yet.

    Unknown until the input first reports one. Times are in seconds on the run's clock. Readers of the pipes and the
    main thread share it; the one value is replaced as a whole.
    """

    def __init__(self) -> None:
        self._input: _Reported | None = None

    def reported(self, lag_ms: int | None, now_s: float, *, can_read: bool) -> None:
        """Take the lag of a heartbeat. None keeps the last one, which grows while the input cannot read, and until it
        reports a new one."""
        if lag_ms is not None:
            self._input = _Reported(lag_ms / 1000, now_s, not can_read)
        elif not can_read and self._input is not None and not self._input.grows:
            self._input = _Reported(self._input.lag_s, now_s, True)

    def cannot_read(self, now_s: float, oldest_read_s: float | None) -> None:
        """The providers are gone, with every row that is not durable. `oldest_read_s`: as in `ms`."""
        lag_ms = self.ms(now_s, oldest_read_s)
        if lag_ms is not None:
            self._input = _Reported(lag_ms / 1000, now_s, True)

    def read_s(self, now_s: float) -> float:
        """Return the time up to which the input has read the source."""
        return now_s - (self._input.at(now_s) if self._input else 0.0)

    def ms(self, now_s: float, oldest_read_s: float | None) -> int | None:
        """Return the lag. `oldest_read_s`: `read_s` when the oldest row that is not durable was read; None if all are
        durable."""
        if self._input is None:
            return None
        oldest_s = 0.0 if oldest_read_s is None else now_s - oldest_read_s
        return round(max(self._input.at(now_s), oldest_s) * 1000)
