"""Learns how many messages per second a throttled namespace accepts from this process, and spreads sends accordingly.
Pure: the caller passes the time.

A Standard namespace gets its credits at the start of each second; once they are used up, it refuses every operation
until the next second (Microsoft: "Throttling operations on Azure Service Bus"). The credits are shared with consumers
and other senders, so the rate is learned: it grows by ever larger steps while sends are accepted, and shrinks by a few
percent in a second with refusals. Senders that grow by the same steps and shrink by the same share approach equal rates
(Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for Congestion Avoidance").

Unconfirmed: what the service does with a batch of more messages than there are credits left. Whether it refuses the
batch or accepts it and charges the next seconds, nearly all credits are used.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

_PERIOD_S = 1.0
"""How often the service renews the credits."""
_SEND_S = 0.025
"""Minimum size of a send, in seconds of the rate: a lane that has this many messages waits for them to be allowed."""
_BURST_S = 0.5
"""Maximum size of a send after a pause, in seconds of the rate."""
_GROWTH = 20.0
"""Messages per second by which the rate grows in the first second without a refusal; in the nth, n times as much."""
_KEPT = 0.97
"""In a second with refusals, the rate falls to this part of what was accepted in the last second."""
_LEAST_KEPT = 0.9
"""It keeps at least this part of itself, because another sender may have used up one second's credits."""
_LEAST = 1.0
"""Messages per second."""
_SHORTEST_WAIT_S = 0.001
_RECENT_S = 10.0
"""A namespace that refused a send within this time counts as throttled."""


@dataclass(frozen=True, slots=True)
class Grant:
    """How many messages to send now. With none, ask again after `wait_s`."""

    messages: int
    wait_s: float = 0.0


class SendRate:
    """Shared by all workers of a namespace. Does not limit anything before the first refusal. Thread-safe."""

    def __init__(self, first_pause_s: float, max_pause_s: float) -> None:
        """`first_pause_s`: how long nothing is sent after a refusal; doubles while nothing is accepted, up to
        `max_pause_s` or, if that is less, up to `first_pause_s`."""
        self._first_pause_s = first_pause_s
        self._max_pause_s = max(first_pause_s, max_pause_s)
        self._lock = threading.Lock()
        self._per_s: float | None = None
        self._allowed = 0.0  # messages
        self._counted_at = 0.0
        self._is_limiting = False
        self._growing_s = 0.0
        self._accepted: deque[tuple[float, int]] = deque()  # within the last period
        self._shrunk_at = float("-inf")
        self._refused_at = float("-inf")
        self._refusals = 0  # in a row
        self._paused_until = float("-inf")

    def take(self, now: float, wanted: int) -> Grant:
        """Return how many of `wanted` messages, at least 1, to send now."""
        with self._lock:
            if now < self._paused_until:
                return Grant(0, max(_SHORTEST_WAIT_S, self._paused_until - now))
            if self._per_s is None:
                return Grant(wanted)
            per_s = self._counted(now, self._per_s)
            enough = min(wanted, max(1.0, per_s * _SEND_S))
            if self._allowed < enough:
                self._is_limiting = True
                return Grant(0, max(_SHORTEST_WAIT_S, (enough - self._allowed) / per_s))
            messages = min(wanted, int(self._allowed))
            self._allowed -= messages
            self._is_limiting = messages < wanted
            if self._refusals:  # one send finds out whether there are credits again
                self._paused_until = now + self._pause_s()
            return Grant(messages)

    def accepted(self, now: float, sent_at: float, messages: int) -> None:
        with self._lock:
            self._accepted.append((now, messages))
            self._forget(now)
            if self._refusals and sent_at > self._refused_at:
                self._refusals = 0
                self._paused_until = now

    def refused(self, now: float, sent_at: float, messages: int, jitter: float) -> float:
        """Return for how long nothing will be sent. `messages`: 0 if a link was refused, which says nothing about the
        rate. A random `jitter` in 0..1 spreads the retries of processes."""
        with self._lock:
            if messages and now - self._shrunk_at >= _PERIOD_S:
                self._shrunk_at = now
                self._shrink(now, messages)
            if sent_at > self._refused_at:
                self._refusals += 1
            self._refused_at = now
            pause_s = self._pause_s() + self._first_pause_s * jitter / 4
            self._paused_until = max(self._paused_until, now + pause_s)
            self._is_limiting = False
            return pause_s

    def is_throttled(self, now: float) -> bool:
        """Whether the service has refused a send lately."""
        return now - self._refused_at < _RECENT_S

    def _pause_s(self) -> float:
        return min(self._max_pause_s, self._first_pause_s * 2.0 ** min(max(self._refusals - 1, 0), 30))

    def _counted(self, now: float, per_s: float) -> float:
        """Allow the messages of the time since the last call, and let the rate grow. Return the rate."""
        elapsed_s = now - self._counted_at
        self._counted_at = now
        if self._is_limiting:
            self._is_limiting = False
            self._growing_s += elapsed_s
            per_s += _GROWTH * self._growing_s * elapsed_s
        self._per_s = per_s
        self._allowed = min(max(1.0, per_s * _BURST_S), self._allowed + per_s * elapsed_s)
        return per_s

    def _shrink(self, now: float, refused: int) -> None:
        self._forget(now)
        accepted = sum(messages for _, messages in self._accepted)
        self._growing_s = 0.0
        if self._per_s is None:
            self._per_s = max(_LEAST, _KEPT * accepted, refused / 2)
            self._counted_at = now
        else:
            self._per_s = max(_LEAST, _LEAST_KEPT * self._per_s, _KEPT * min(self._per_s, accepted))

    def _forget(self, now: float) -> None:
        while self._accepted and self._accepted[0][0] <= now - _PERIOD_S:
            self._accepted.popleft()
