"""When a failed pair of providers is started again (protocol rule 9). Pure: the clock and the chance come in."""

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
"""Faults of a program that would show again, or after which rows may be missing: a person must look."""
_MOST_DOUBLINGS = 32


class RestartSchedule:
    """Counts the starts in a row that brought no checkpoint, and says when the next one is due."""

    def __init__(self, policy: RestartPolicy, chance: Callable[[], float]) -> None:
        """`chance` gives numbers from 0 to 1."""
        self._policy = policy
        self._chance = chance
        self.attempts = 0

    def acknowledged(self) -> None:
        """The pair has brought a checkpoint to the destination: what failed before has passed."""
        self.attempts = 0

    def next_start_s(self, error: DStreamError, now_s: float, *, was_ready: bool) -> float | None:
        """When to start again, of the same clock as `now_s`; None when this error ends the run.

        `was_ready`: the run had both providers ready once. The pause is between half of the delay and all of it, so
        that tasks that failed together do not come back together; never shorter than the provider asked for.
        """
        if not _may_pass(error, was_ready=was_ready) or self.attempts >= self._policy.max_attempts:
            return None
        doubled_s = self._policy.initial_delay_s * 2.0 ** min(self.attempts, _MOST_DOUBLINGS)
        pause_s = min(doubled_s, self._policy.max_delay_s) * (0.5 + 0.5 * self._chance())
        self.attempts += 1
        if isinstance(error, TransientError):
            pause_s = max(pause_s, error.retry_after_s)
        return now_s + pause_s


def _may_pass(error: DStreamError, *, was_ready: bool) -> bool:
    if error.code in _FINAL or error.kind not in RESTARTABLE:
        return False
    # What fails the very first start is most likely wrong for good, and somebody is there to read it.
    return was_ready or error.kind == "transient"
