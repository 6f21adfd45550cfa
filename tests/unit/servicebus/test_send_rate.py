"""The rate of a throttled namespace, against a model of it in virtual time."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from dstream_servicebus.publish.send_rate import Grant, SendRate

MINUTE = 60
FIRST_PAUSE_S, MAX_PAUSE_S = 0.25, 10.0


@dataclass
class Namespace:
    """Gets `credits(second)` at the start of each second, as a Standard namespace does (Microsoft: "Throttling operations
    on Azure Service Bus"). `accepts_overdraft`: what it does with a batch of more messages than there are credits left is
    unconfirmed: it accepts the batch and charges it to the next seconds, or refuses it."""

    credits: Callable[[int], int]
    accepts_overdraft: bool
    outcomes: list[tuple[float, int, int, bool]] = field(default_factory=list)
    """Of each send: the time, the sender, the number of messages, and whether they were accepted."""
    second: int = -1
    left: int = 0

    def accepts(self, now: float, sender: int, messages: int) -> bool:
        renewed = self.credits(int(now))
        if int(now) != self.second:
            self.left = min(renewed, self.left + renewed * (int(now) - self.second))
            self.second = int(now)
        is_accepted = self.left > 0 if self.accepts_overdraft else messages <= self.left or self.left >= renewed
        self.left -= messages if is_accepted else 0
        self.outcomes.append((now, sender, messages, is_accepted))
        return is_accepted

    def used(self, start: int, end: int, sender: int | None = None) -> int:
        """Credits used from second `start` to `end`, by one sender or all."""
        return sum(
            messages
            for now, who, messages, is_accepted in self.outcomes
            if is_accepted and start <= now < end and sender in (None, who)
        )

    def share_used(self, start: int, end: int) -> float:
        return self.used(start, end) / sum(map(self.credits, range(start, end)))

    def busy_answers(self, start: int, end: int) -> int:
        return sum(1 for now, _, _, is_accepted in self.outcomes if not is_accepted and start <= now < end)


@dataclass
class Load:
    """Workers of one process that always have messages waiting."""

    start: float = 0.0
    end: float = 1e9
    workers: int = 4
    waiting: int = 4000
    """The largest send that they have."""
    round_trip_s: float = 0.02


def simulate(namespace: Namespace, loads: list[Load], duration: float) -> None:
    chance = random.Random(7)
    events: list[tuple[float, int, Iterator[float]]] = []
    for sender, load in enumerate(loads):
        rate = SendRate(FIRST_PAUSE_S, MAX_PAUSE_S)
        for _ in range(load.workers):
            clock = [load.start + chance.random() / 100]
            worker = send_all(namespace, rate, sender, load, clock, chance)
            heapq.heappush(events, (clock[0], len(events), driven(worker, clock)))
    while events and events[0][0] < duration:
        _, order, worker = heapq.heappop(events)
        heapq.heappush(events, (next(worker, 1e9), order, worker))


def driven(worker: Iterator[float], clock: list[float]) -> Iterator[float]:
    """The moments at which the worker continues."""
    for wait_s in worker:
        clock[0] += wait_s
        yield clock[0]


def send_all(
    namespace: Namespace, rate: SendRate, sender: int, load: Load, clock: list[float], chance: random.Random
) -> Iterator[float]:
    """Yield each wait."""
    while clock[0] < load.end:
        sent_at = clock[0]
        grant = rate.take(sent_at, load.waiting)
        if not grant.messages:
            yield grant.wait_s + chance.random() / 500
            continue
        yield load.round_trip_s * chance.uniform(0.3, 0.7)
        is_accepted = namespace.accepts(clock[0], sender, grant.messages)
        yield load.round_trip_s * chance.uniform(0.3, 0.7)
        if is_accepted:
            rate.accepted(clock[0], sent_at, grant.messages)
        else:
            yield rate.refused(clock[0], sent_at, grant.messages, chance.random())


def standard(_: int) -> int:
    return 1000


@pytest.mark.parametrize("accepts_overdraft", [False, True])
@pytest.mark.parametrize("load", [Load(), Load(workers=1, round_trip_s=0.004), Load(workers=16, waiting=10)])
def test_after_a_minute_nearly_all_credits_are_used_without_a_retry_storm(accepts_overdraft: bool, load: Load) -> None:
    namespace = Namespace(standard, accepts_overdraft)
    simulate(namespace, [load], 3 * MINUTE)

    assert namespace.share_used(MINUTE, 3 * MINUTE) >= 0.95
    assert namespace.busy_answers(MINUTE, 3 * MINUTE) <= 4 * 2 * MINUTE
    assert namespace.busy_answers(0, MINUTE) <= 5 * MINUTE


@pytest.mark.parametrize("accepts_overdraft", [False, True])
def test_senders_share_the_credits_of_a_namespace(accepts_overdraft: bool) -> None:
    namespace = Namespace(standard, accepts_overdraft)
    simulate(namespace, [Load(), Load(start=MINUTE)], 6 * MINUTE)

    shared = namespace.used(4 * MINUTE, 6 * MINUTE, sender=1) / namespace.used(4 * MINUTE, 6 * MINUTE)
    assert 0.35 <= shared <= 0.65
    assert namespace.share_used(2 * MINUTE, 6 * MINUTE) >= 0.95
    assert namespace.busy_answers(2 * MINUTE, 6 * MINUTE) <= 3 * 4 * MINUTE


@pytest.mark.parametrize("accepts_overdraft", [False, True])
def test_credits_that_another_sender_no_longer_uses_are_taken_up(accepts_overdraft: bool) -> None:
    namespace = Namespace(standard, accepts_overdraft)
    simulate(namespace, [Load(), Load(end=2 * MINUTE)], 4 * MINUTE)

    assert namespace.share_used(3 * MINUTE, 4 * MINUTE) >= 0.95


@pytest.mark.parametrize("accepts_overdraft", [False, True])
@pytest.mark.parametrize(("before", "after"), [(1000, 300), (300, 1000), (1000, 10_000)])
def test_the_rate_follows_the_limit(before: int, after: int, accepts_overdraft: bool) -> None:
    namespace = Namespace(lambda second: before if second < MINUTE else after, accepts_overdraft)
    simulate(namespace, [Load()], 3 * MINUTE)

    assert namespace.share_used(2 * MINUTE, 3 * MINUTE) >= 0.95
    assert namespace.busy_answers(MINUTE, 3 * MINUTE) <= 3 * 2 * MINUTE


def test_nothing_is_limited_before_the_first_refusal() -> None:
    rate = SendRate(FIRST_PAUSE_S, MAX_PAUSE_S)

    assert [rate.take(0.0, 4000) for _ in range(3)] == [Grant(4000)] * 3
    assert not rate.is_throttled(0.0)


def test_a_namespace_that_stays_busy_gets_single_sends_after_ever_longer_pauses() -> None:
    rate = SendRate(FIRST_PAUSE_S, MAX_PAUSE_S)
    now = 0.0
    pauses: list[float] = []
    for _ in range(9):
        pauses.append(rate.refused(now, now, 1000, 0.0))
        assert rate.is_throttled(now)
        assert rate.take(now + pauses[-1] - 0.01, 1).messages == 0
        now += pauses[-1] + 1
        assert [rate.take(now, 1).messages for _ in range(2)] == [1, 0]

    assert pauses == [0.25, 0.5, 1, 2, 4, 8, 10, 10, 10]


def test_a_refused_link_pauses_without_limiting_the_rate() -> None:
    rate = SendRate(FIRST_PAUSE_S, MAX_PAUSE_S)
    rate.refused(1.0, 0.9, 0, 0.0)

    assert rate.take(1.2, 4000).messages == 0
    assert rate.take(1.3, 4000) == Grant(4000)


def test_sends_refused_together_count_once() -> None:
    rate = SendRate(FIRST_PAUSE_S, MAX_PAUSE_S)

    assert [rate.refused(1.0 + n / 100, 0.9, 100, 0.0) for n in range(4)] == [0.25] * 4


def test_an_accepted_send_ends_the_pause_unless_it_is_older_than_the_refusal() -> None:
    rate = SendRate(FIRST_PAUSE_S, MAX_PAUSE_S)
    rate.refused(1.0, 0.9, 100, 0.0)
    rate.accepted(1.1, 0.95, 100)
    assert rate.take(1.2, 1).messages == 0

    assert rate.take(2.0, 1).messages == 1
    rate.accepted(2.1, 2.0, 1)
    assert rate.take(2.1, 1).messages == 1
