"""A run's request, stop signal, events and result: the interface to the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from dstream.errors import SourceLocation
from dstream.host.provider.spec import HELLO_TIMEOUT_S, ProviderSpec
from dstream.host.run.condition import Condition
from dstream.protocol import DEFAULT_MAX_LINE
from dstream.protocol.messages import Infrastructure, Role
from dstream.protocol.transforms import Transform
from dstream.state import StateLocation


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How to restart a failed pair of providers."""

    max_attempts: int = 10
    """Consecutive restarts without an acknowledged checkpoint; 0: never restart."""
    initial_delay_s: float = 1.0
    """Doubled with each attempt."""
    max_delay_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Job:
    """One run of one task. Times in seconds; the defaults are the protocol's."""

    task: str
    run_id: str
    input: ProviderSpec
    output: ProviderSpec
    state: StateLocation
    cwd: Path | None = None
    """The providers' working directory; None: the host's."""
    once: bool = False
    from_: str | None = None
    max_duration_s: float | None = None
    """The run drains this long after both providers were first ready."""
    max_rows: int | None = None
    """The run drains once at least this many rows have been read."""
    restart: RestartPolicy = RestartPolicy()
    standby: bool = False
    """Wait for the lease if another host holds it."""
    reset: bool = False
    """Delete the stored checkpoint first."""
    transform: ProviderSpec | None = None
    """A third provider, which rows pass through."""
    transforms: Sequence[Transform] = field(default=(), repr=False)
    """What the output does to each row before it writes it."""
    transforms_place: SourceLocation | None = None
    infrastructure: Infrastructure = field(default_factory=Infrastructure)
    """Where the output's infrastructure is recorded."""
    is_look: bool = False
    """Rows are only looked at: no checkpoint is stored or acknowledged, and neither lock nor socket is needed."""
    socket_dir: Path | None = None
    """Folder of the control socket; None: no socket."""
    max_line: int = DEFAULT_MAX_LINE
    max_in_flight: int = 1000
    max_in_flight_bytes: int = 64 * 1024 * 1024
    start_timeout_s: float = 60.0
    hello_timeout_s: float = HELLO_TIMEOUT_S
    """A provider that sends no hello within this time counts as legacy."""
    legacy_ready_s: float = 1.0
    """A legacy provider counts as ready this long after line 1 if it is still running."""
    quiet_s: float = 30.0
    """Without a row for this long, a legacy input is suspected to be an output."""
    drain_deadline_s: float = 25.0
    silence_s: float = 60.0
    exit_grace_s: float = 5.0
    """How long a provider may take to exit after finishing its work, and a legacy one after SIGTERM."""
    summary_every_s: float = 30.0
    progress_every_s: float = 1.0


class StopRequest:
    """Stops a run: the first `request` drains, the second one kills immediately.

    Safe to call from any thread.
    """

    def __init__(self) -> None:
        self._requests: list[None] = []
        self._wakers: list[Callable[[], None]] = []

    def request(self) -> None:
        self._requests.append(None)
        for wake in list(self._wakers):
            wake()

    @property
    def is_requested(self) -> bool:
        return bool(self._requests)

    @property
    def is_urgent(self) -> bool:
        return len(self._requests) > 1

    def attach(self, wake: Callable[[], None]) -> None:
        """`wake` is called at each request, from the requesting thread; it must not block."""
        self._wakers.append(wake)

    def detach(self, wake: Callable[[], None]) -> None:
        self._wakers.remove(wake)


@dataclass(frozen=True, slots=True)
class MetricValue:
    """A provider's metric: a counter's or histogram's sum or a gauge's last value; `count` is the number of reports."""

    role: Role
    name: str
    kind: str
    labels: tuple[tuple[str, str], ...]
    value: float
    count: int


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a run. Rows are data lines; settled rows are durable at the destination, counting repeats."""

    rows_relayed: int = 0
    rows_settled: int = 0
    rows_rejected: int = 0
    bytes_relayed: int = 0
    checkpoints_stored: int = 0
    store_s: float = 0.0
    """How long storing checkpoints took, with the attempts that failed."""
    checkpoints_in_flight: int = 0
    last_seq: int = 0
    """The last checkpoint on disk."""
    holds_lease: bool = False
    """Whether this process can prove that no other one may write the task's checkpoint."""
    condition: Condition = field(default_factory=Condition)
    lag_ms: int | None = None
    """How far the destination is behind the source; None until the input first reports a lag."""
    metrics: tuple[MetricValue, ...] = ()
    restarts: int = 0

    @property
    def time_to_loss_s(self) -> float | None:
        """The input's gauge of that name: how long until its source removes changes that are not delivered yet."""
        gauges = (each for each in self.metrics if each.role == "input" and each.name == "time_to_loss_seconds")
        return next((each.value for each in gauges if each.kind == "gauge"), None)

    def after(self, earlier: Progress) -> Progress:
        """Add the figures of earlier pairs, whose unsettled rows were dropped."""
        return replace(
            self,
            rows_relayed=earlier.rows_settled + self.rows_relayed,
            rows_settled=earlier.rows_settled + self.rows_settled,
            rows_rejected=earlier.rows_rejected + self.rows_rejected,
            bytes_relayed=earlier.bytes_relayed + self.bytes_relayed,
            checkpoints_stored=earlier.checkpoints_stored + self.checkpoints_stored,
            store_s=earlier.store_s + self.store_s,
            restarts=earlier.restarts + self.restarts,
        )


class Events(Protocol):
    """Receives a run's events. Called from several threads, one call at a time; texts are already redacted."""

    def log(self, level: str, event: str, /, **fields: Any) -> None: ...

    def progress(self, progress: Progress) -> None: ...


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a run ended. `drained`: everything the input had read was delivered."""

    task: str
    run_id: str
    started_at: datetime
    ended_at: datetime
    streamed_s: float
    """Seconds from both providers ready to the end."""
    drained: bool
    progress: Progress

    @property
    def rows(self) -> int:
        return self.progress.rows_settled

    @property
    def rows_s(self) -> float:
        return self.rows / self.streamed_s if self.streamed_s > 0 else 0.0

    @property
    def checkpoints(self) -> int:
        return self.progress.checkpoints_stored

    @property
    def last_seq(self) -> int:
        return self.progress.last_seq
