"""A standby waits for the lease, also while the state backend is away."""

from __future__ import annotations

import threading
from contextlib import ExitStack, nullcontext
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import pytest

from dstream.errors import ConfigError, DStreamError, LockedError, UnreachableError
from dstream.host import StopRequest
from dstream.host.run import standby
from dstream.host.run.report import RunReport
from dstream.redact import Redactor
from tests.conformance.runs import Recorded

LOCKED = LockedError("state.locked", "held by another host")
AWAY = UnreachableError("state.unavailable", "the backend is away")
GONE = ConfigError("state.no_backend", "there is no container")


class Store:
    place = "elsewhere"

    def __init__(self, *answers: Any) -> None:
        self._answers = iter(answers)

    def lease(self, since: datetime) -> Any:
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return nullcontext(answer)

    def holder(self) -> Any:
        raise AWAY


class Waiting:
    """A wait for the lease that takes no time. Collects its pauses, and what it reports."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pauses_s: list[float] = []
        self.events = Recorded()
        event = Mock(wait=self._wait)
        monkeypatch.setattr(standby, "threading", Mock(Event=lambda: event, Thread=threading.Thread))

    def _wait(self, pause_s: float) -> bool:
        self.pauses_s.append(pause_s)
        return False

    def lease(self, *answers: Any, is_standby: bool = True) -> object:
        job: Any = Mock(is_look=False, standby=is_standby)
        store: Any = Store(*answers)
        report = RunReport("orders", self.events, Redactor())
        with standby.leased(job, store, report, StopRequest(), lambda: datetime.now(UTC)) as lease:
            return lease

    def phases(self) -> list[tuple[str, bool]]:
        told = [(each.condition.phase, each.condition.is_ready) for each in self.events.told]
        return [each for before, each in zip([None, *told], told, strict=False) if each != before]


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    return Waiting(monkeypatch)


def test_a_backend_that_is_away_meanwhile_is_waited_for(waiting: Waiting) -> None:
    assert waiting.lease(LOCKED, AWAY, LOCKED, "the lease") == "the lease"
    assert [event for _, event, _ in waiting.events.events] == [
        "lease.waiting",
        "state.unavailable",
        "lease.waiting",
        "lease.taken",
    ]


def test_a_standby_waits_for_a_backend_that_is_away_when_it_starts(waiting: Waiting) -> None:
    """It is not ready, so a rollout does not go on; it reports the outage once and asks less and less often."""
    assert waiting.lease(*[AWAY] * 6, LOCKED, LOCKED, "the lease") == "the lease"
    assert waiting.pauses_s == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 1.0, 1.0]
    assert waiting.phases() == [("starting", False), ("standby", True), ("starting", False)]
    assert waiting.events.named("state.unavailable") == [{"task": "orders", "reason": "the backend is away"}]
    assert "state.unavailable: the backend is away" in waiting.events.told[0].condition.text()


def test_a_standby_that_takes_the_lease_at_once_does_not_report_a_wait(waiting: Waiting) -> None:
    assert waiting.lease("the lease") == "the lease"
    assert waiting.events.events == []


@pytest.mark.parametrize(("is_standby", "error"), [(False, LOCKED), (False, AWAY), (True, GONE)])
def test_a_run_does_not_wait_and_a_standby_only_for_what_may_pass(
    waiting: Waiting, error: DStreamError, *, is_standby: bool
) -> None:
    with pytest.raises(type(error)) as caught:
        waiting.lease(error, "the lease", is_standby=is_standby)
    assert caught.value is error


def test_a_second_stop_does_not_wait_for_a_backend_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby, "URGENT_S", 0.0)
    stop, answered, released = StopRequest(), threading.Event(), threading.Event()

    def release() -> None:
        stop.request()
        assert answered.wait(60)
        released.set()

    lease = ExitStack()
    lease.callback(release)
    job: Any = Mock(is_look=False, standby=False)
    store: Any = Mock(lease=lambda _: lease)
    with standby.leased(job, store, Mock(), stop, lambda: datetime.now(UTC)):
        stop.request()
    assert not released.is_set()
    answered.set()
    assert released.wait(60)


@pytest.mark.parametrize("requests", [0, 2])
def test_the_lease_is_released_before_the_run_ends(requests: int) -> None:
    """Also after a second stop, if the backend answers: the next run can start."""
    stop = StopRequest()
    for _ in range(requests):
        stop.request()
    released: list[bool] = []
    lease = ExitStack()
    lease.callback(released.append, True)
    job: Any = Mock(is_look=False, standby=False)
    store: Any = Mock(lease=lambda _: lease)
    with pytest.raises(KeyError), standby.leased(job, store, Mock(), stop, lambda: datetime.now(UTC)):
        raise KeyError
    assert released == [True]
