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


class RestartSchedule:
    """Counts consecutive restarts without a checkpoint and schedules the next one."""

    def __init__(self, policy: RestartPolicy, chance: Callable[[], float]) -> None:
        """`chance` returns numbers from 0 to 1."""
        self._policy = policy
        self._chance = chance
        self.attempts = 0

    def acknowledged(self) -> None:
        """Reset the count: a checkpoint reached the destination."""
        self.attempts = 0

    def next_start_s(self, error: DStreamError, now_s: float, *, was_ready: bool) -> float | None:
        """Return when to restart, on the clock of `now_s`; None if the error is final.

        `was_ready`: both providers have been ready in this run. The pause is between half the delay and the full delay,
        so that tasks that failed together do not restart together, and never shorter than the provider's retry_after.
        """
        if not self.may_restart(error, was_ready=was_ready):
            return None
        doubled_s = self._policy.initial_delay_s * 2.0 ** min(self.attempts, _MOST_DOUBLINGS)
        pause_s = min(doubled_s, self._policy.max_delay_s) * (0.5 + 0.5 * self._chance())
        self.attempts += 1
        if isinstance(error, TransientError):
            pause_s = max(pause_s, error.retry_after_s)
        return now_s + pause_s

    def may_restart(self, error: DStreamError | None, *, was_ready: bool) -> bool:
        """Return whether `next_start_s` would schedule a start; an unknown `error` (None) counts as transient."""
        if self.attempts >= self._policy.max_attempts:
            return False
        return error is None or _may_pass(error, was_ready=was_ready)


def _may_pass(error: DStreamError, *, was_ready: bool) -> bool:
    if error.code in _FINAL or error.kind not in RESTARTABLE:
        return False
    # A failure of the very first start is most likely permanent, and a user is there to read it.
    return was_ready or error.kind == "transient"
