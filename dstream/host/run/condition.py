"""The condition of a run: one phase and its reason. Pure.

The log, the live view, `status`, /readyz, the metrics and `--json` all show this value, and nothing else decides.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from dstream.protocol.messages import Role

Stage = Literal["standby", "starting", "streaming", "draining", "restarting", "failed", "finished"]
"""How far the host is with the two processes, whatever they report."""

RunPhase = Literal[
    "standby", "starting", "streaming", "throttled", "reconnecting", "restarting", "draining", "failed", "finished"
]
CONDITION_PHASES: tuple[RunPhase, ...] = get_args(RunPhase)

_READY: frozenset[RunPhase] = frozenset({"streaming", "throttled", "draining"})
_JOINED = {"restarting": " after ", "failed": " with "}


@dataclass(frozen=True, slots=True)
class Phase:
    """The phase, lag and reason in a provider's last heartbeat."""

    phase: str
    lag_ms: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """The condition at one moment. `since`: when the phase began; None before the run has started."""

    phase: RunPhase = "starting"
    reason: str = ""
    since: datetime | None = None
    is_ready: bool = False
    """Whether rows can flow: both providers are ready, and neither has lost its connection. A standby is ready to take
    over."""

    def text(self) -> str:
        """'streaming', 'reconnecting: input mssql_cdc: ..', 'restarting after provider.died: ..'"""
        return f"{self.phase}{_JOINED.get(self.phase, ': ')}{self.reason}" if self.reason else self.phase


def condition_of(
    stage: Stage,
    reason: str,
    reported: Mapping[Role, Phase],
    names: Mapping[Role, str],
    *,
    is_blocked: bool,
    is_unproven: bool = False,
) -> Condition:
    """Return the condition, without its time. `reason`: of the stage. `is_blocked`: the output takes no rows.
    `is_unproven`: none are sent to it, because another host could have taken the lease."""
    if stage not in ("streaming", "draining"):
        return Condition(stage, reason, is_ready=stage == "standby")
    trouble, why = _trouble(reported, names, is_blocked=is_blocked, is_unproven=is_unproven)
    phase = trouble if stage == "streaming" else stage
    return Condition(phase, why, is_ready=phase in _READY and trouble != "reconnecting")


def _trouble(
    reported: Mapping[Role, Phase], names: Mapping[Role, str], *, is_blocked: bool, is_unproven: bool
) -> tuple[Literal["streaming", "throttled", "reconnecting"], str]:
    """Return the worse of the two providers' phases; a dead destination also explains why the output takes no rows."""
    if is_unproven:
        return "reconnecting", "the state backend does not renew the lease"
    kinds: tuple[Literal["reconnecting", "throttled"], ...] = ("reconnecting", "throttled")
    for kind in kinds:
        of_kind: list[Role] = [role for role, each in reported.items() if each.phase == kind]
        if of_kind:
            return kind, "; ".join(_named(role, names, reported[role].reason) for role in sorted(of_kind))
    if is_blocked:
        return "throttled", f"{_named('output', names)} takes no more rows"
    return "streaming", ""


def _named(role: Role, names: Mapping[Role, str], reason: str = "") -> str:
    return ": ".join(part for part in (f"{role} {names.get(role, '')}".rstrip(), reason) if part)


class ConditionTracker:
    """The current condition of a run. The main thread enters stages, the readers report phases."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._stage: Stage = "starting"
        self._reason = ""
        self._names: dict[Role, str] = {}
        self._reported: dict[Role, Phase] = {}
        self._is_blocked = self._is_unproven = False
        self.current = Condition(since=now())

    def enter(self, stage: Stage, reason: str = "") -> None:
        with self._lock:
            self._stage, self._reason = stage, reason
            self._update()

    def named(self, role: Role, name: str) -> None:
        with self._lock:
            self._names[role] = name

    def replaced(self, role: Role) -> None:
        """Discard the phase of the last process: a new one has started."""
        with self._lock:
            self._reported.pop(role, None)
            self._update()

    def reported(self, role: Role, phase: Phase) -> None:
        with self._lock:
            self._reported[role] = phase
            self._update()

    def blocked(self, is_blocked: bool, *, is_unproven: bool) -> None:
        with self._lock:
            self._is_blocked, self._is_unproven = is_blocked, is_unproven
            self._update()

    def _update(self) -> None:
        new = condition_of(
            self._stage,
            self._reason,
            self._reported,
            self._names,
            is_blocked=self._is_blocked,
            is_unproven=self._is_unproven,
        )
        since = self.current.since if new.phase == self.current.phase else self._now()
        self.current = Condition(new.phase, new.reason, since, new.is_ready)
