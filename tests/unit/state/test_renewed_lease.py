"""A lease that expires: what is proven of it, and when it is lost."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from dstream.errors import ConfigError, DStreamError, UnreachableError
from dstream.state import TaskLockHolder
from dstream.state._lease import RenewedLease
from tests.running import wait_until

SINCE = datetime(2026, 11, 25, 9, 12, 0, tzinfo=UTC)
OTHER = TaskLockHolder(7, "node-2", "dstream", "2026-11-25T09:13:00Z", "run")


class Server:
    """Answers the requests of one lease."""

    def __init__(self) -> None:
        self.is_away = False
        self.is_taken = False
        self.is_gone = False
        self.renewals = 0
        self.asked = threading.Event()
        self.released: list[str] = []

    def acquire(self, holder: TaskLockHolder) -> str:
        return "f1"

    def renew(self, fence: str) -> bool:
        self.asked.set()
        if self.is_away:
            raise UnreachableError("state.unavailable", "away")
        if self.is_gone:
            raise ConfigError("state.no_backend", "the tables are gone")
        self.renewals += 1
        return not self.is_taken

    def release(self, fence: str) -> None:
        self.released.append(fence)

    def holder(self) -> TaskLockHolder:
        self.asked_for_holder()
        return OTHER

    def asked_for_holder(self) -> None:
        pass


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def fault(held: RenewedLease) -> DStreamError | None:
    """What `check` raises."""
    try:
        held.check()
    except DStreamError as error:
        return error
    return None


def lease(server: Server, clock: Clock) -> RenewedLease:
    return RenewedLease(server, "orders", 30.0, SINCE, "run", clock)


def test_it_is_proven_for_less_than_its_time_from_before_the_request() -> None:
    server, clock = Server(), Clock()
    server.is_away = True
    held = lease(server, clock)
    assert not held.is_held
    with held:
        clock.now_s += 26.9
        assert held.is_held
        clock.now_s += 0.2
        assert not held.is_held
        held.check()
    assert server.released == ["f1"]
    assert not held.is_held


def test_it_is_renewed_after_a_third_of_its_time() -> None:
    server, clock = Server(), Clock()
    with lease(server, clock) as held:
        clock.now_s += 10.0
        wait_until(lambda: server.renewals == 1, "the renewal")
        clock.now_s += 26.0
        assert held.is_held


def test_after_an_outage_it_is_proven_again_if_nobody_has_taken_it() -> None:
    server, clock = Server(), Clock()
    server.is_away = True
    with lease(server, clock) as held:
        clock.now_s += 60.0
        assert server.asked.wait(30)
        assert not held.is_held
        server.is_away = False
        wait_until(lambda: held.is_held, "the lease to be proven again")
        held.check()


def test_once_taken_it_is_lost_for_good_and_names_the_new_holder() -> None:
    server, clock = Server(), Clock()
    with lease(server, clock) as held:
        server.is_taken = True
        proven: list[bool] = []
        server.asked_for_holder = lambda: proven.append(held.is_held)  # type: ignore[method-assign]
        clock.now_s += 20.0
        wait_until(lambda: server.renewals == 1, "the renewal")
        error = wait_until(lambda: fault(held), "the loss")
        assert error.code == "state.lease_lost"
        assert "taken by dstream@node-2 (pid 7, dstream run)" in error.message
        assert not held.is_held
        assert proven == [False], "no row flows while it asks who has taken it"
    assert server.released == []


def test_if_what_it_is_kept_in_is_gone_the_run_ends_with_that_error() -> None:
    """A container that was deleted or tables that were dropped do not come back, as a backend that is away does."""
    server, clock = Server(), Clock()
    with lease(server, clock) as held:
        server.is_gone = True
        clock.now_s += 10.0
        error = wait_until(lambda: fault(held), "the fault")
        assert (error.code, error.message) == ("state.no_backend", "the tables are gone")
