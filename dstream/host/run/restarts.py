"""Schedules the restart of a failed pair of providers (protocol rule 9). Pure: the caller passes time and chance."""

from __future__ import annotations

from collections.abc import Callable

from dstream.errors import RESTARTABLE, DStreamError, TransientError
from dstream.host.run.job import RestartPolicy

_FINAL = frozenset(
    {
        "protocol.bad_line",
        "protocol.bad_sequence",
        "protocol.count_mismatch",
        "provider.late_hello",
        "state.secret",
    }
)
"""Program faults that would recur, or after which rows may be missing: they need investigation."""
_MOST_DOUBLINGS = 32
MOST_CRASHES = 3
"""How often a program may fail in the same way at the same position before the run ends."""
_CONDITIONS = frozenset({"state.write_failed", "system.failed", "provider.silent", "provider.not_ready"})
"""System faults that the machine may cause and overcome: a full disk, a high load. All others are crashes."""


class RestartSchedule:
    """Counts consecutive restarts without a checkpoint, recognizes crash loops, and schedules the next restart."""

    def __init__(self, policy: RestartPolicy, chance: Callable[[], float]) -> None:
        """`chance` returns numbers from 0 to 1."""
        self._policy = policy
        self._chance = chance
        self.attempts = 0
        self._last_code = ""
        self._crashes = 0
        """How often in a row the run has failed with this code at the same position."""

    def acknowledged(self) -> None:
        """Reset the count: a checkpoint reached the destination."""
        self.attempts = 0

    def next_start_s(
        self, error: DStreamError, now_s: float, *, was_ready: bool, has_progressed: bool = True
    ) -> float | None:
        """Return when to restart, on the clock of `now_s`; None if the error is final.

        `was_ready`: both providers have been ready in this run. `has_progressed`: this pair moved the position.

        The pause is between half the delay and the full delay, so that tasks that failed together do not restart
        together, and never shorter than the provider's retry_after.
        """
        may_restart = self.may_restart(error, was_ready=was_ready, has_progressed=has_progressed)
        self._crashes, self._last_code = self._crashes_with(error, has_progressed), error.code
        if not may_restart:
            return None
        doubled_s = self._policy.initial_delay_s * 2.0 ** min(self.attempts, _MOST_DOUBLINGS)
        pause_s = min(doubled_s, self._policy.max_delay_s) * (0.5 + 0.5 * self._chance())
        self.attempts += 1
        if isinstance(error, TransientError):
            pause_s = max(pause_s, error.retry_after_s)
        return now_s + pause_s

    def may_restart(self, error: DStreamError | None, *, was_ready: bool, has_progressed: bool = True) -> bool:
        """Return whether `next_start_s` would schedule a start; an unknown `error` (None) counts as transient."""
        if self.attempts >= self._policy.max_attempts:
            return False
        if error is None:
            return True
        return _may_pass(error, was_ready=was_ready) and self._crashes_with(error, has_progressed) < MOST_CRASHES

    @property
    def is_crash_loop(self) -> bool:
        """Whether the last error was final because it came again and again at the same position."""
        return self._crashes >= MOST_CRASHES

    def _crashes_with(self, error: DStreamError, has_progressed: bool) -> int:
        if error.kind != "system" or error.code in _CONDITIONS:
            return 0
        return self._crashes + 1 if error.code == self._last_code and not has_progressed else 1


def _may_pass(error: DStreamError, *, was_ready: bool) -> bool:
    if error.code in _FINAL or error.kind not in RESTARTABLE:
        return False
    # A failure of the very first start is most likely permanent, and a user is there to read it.
    return was_ready or error.kind == "transient"
