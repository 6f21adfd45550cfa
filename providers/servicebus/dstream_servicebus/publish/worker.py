"""One sending thread: serves its lanes in turn, one send at a time, and retries each send until it is accepted.

Threads: the provider's main thread adds to lanes; each worker sends from its lanes and owns its senders; the watchdog
closes a sender that hangs. A lane always belongs to the same worker, which keeps its order. Once the namespace has
throttled one of them, all share the rate that it accepts (`send_rate.py`).
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from azure.core.exceptions import AzureError

from dstream.sdk import Telemetry
from dstream.sdk.errors import AuthError, DataError, DStreamError, SystemFault, TransientError
from dstream_servicebus.publish.batches import Cut, way
from dstream_servicebus.publish.lanes import Lane, LaneKey, Ticket
from dstream_servicebus.publish.message import Message
from dstream_servicebus.publish.rejections import Refusal, RejectedRows, oversize
from dstream_servicebus.publish.send_rate import SendRate
from dstream_servicebus.publish.sender import EntitySender
from dstream_servicebus.publish.tally import Tally
from dstream_servicebus.publish.trouble import Trouble, TroublePhase
from dstream_servicebus.retry import Action, RetryPace, Schedule, Verdict, condition_of, judge, reason

IDLE_CHECK_S = 2.0
"""How often a worker looks after its connections, those that are closed only while it has no messages."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Settings and functions shared by all workers."""

    cut: Cut
    schedule: Schedule
    kind: str
    sender: Callable[[str], EntitySender]
    """Creates a sender for an entity."""
    key_can_change: bool
    """Whether a restart reads the key again, so that a refused one ends the stream only for a moment."""
    rejected: RejectedRows
    """Takes the rows that the service does not accept."""
    telemetry: Telemetry
    trouble: Trouble
    rate: SendRate
    """Of the namespace."""


class Worker:
    """Call `start`, then `add`; `stop` ends the thread after the current send."""

    def __init__(self, number: int, delivery: Delivery, failed: Callable[[DStreamError], None]) -> None:
        self._delivery = delivery
        self._failed = failed
        self._number = number
        self._changed = threading.Condition()
        self._lanes: dict[LaneKey, Lane] = {}
        self._ready: deque[Lane] = deque()
        self._senders: dict[str, EntitySender] = {}
        self._lost: set[str] = set()
        self._paces: dict[str, RetryPace] = {}
        self._tally = Tally(delivery.telemetry)
        self._under_way: list[Message] = []
        """What the current attempt has sent; empty while it opens the link."""
        self._sent_at = 0.0
        self._was_throttled = False
        self._kept_alive_at = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"sender-{number}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def adopt(self, sender: EntitySender) -> None:
        """Use a sender that was opened elsewhere. Call before `start`."""
        self._senders[sender.entity] = sender

    def add(self, key: LaneKey, ticket: Ticket, messages: list[Message]) -> None:
        with self._changed:
            lane = self._lanes.get(key)
            if lane is None:
                lane = self._lanes[key] = Lane(key)
                self._ready.append(lane)
            lane.add(ticket, messages)
            self._changed.notify()

    def tickets(self) -> list[Ticket]:
        """Return all unsettled tickets."""
        with self._changed:
            return [ticket for lane in self._lanes.values() for ticket in lane.tickets()]

    def stop(self) -> None:
        with self._changed:
            self._stop.set()
            self._changed.notify()

    def join(self, timeout_s: float) -> None:
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                lane = self._next_lane()
                self._keep_alive()
                if lane is not None:
                    self._deliver(lane)
                else:
                    self._reopen_lost()
        except DStreamError as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001  # the thread's outermost frame: its tickets must not wait forever
            self._failed(SystemFault("servicebus.crashed", f"sending failed: {type(error).__name__}: {error}"))
        self._tally.report()
        for sender in self._senders.values():
            sender.drop()

    def _next_lane(self) -> Lane | None:
        """Wait for a lane; return None after a while without one, or on stop."""
        with self._changed:
            if not self._ready and not self._stop.is_set():
                self._changed.wait(IDLE_CHECK_S)
            return self._ready.popleft() if self._ready and not self._stop.is_set() else None

    def _keep_alive(self) -> None:
        now_s = time.monotonic()
        if now_s - self._kept_alive_at >= IDLE_CHECK_S:
            self._kept_alive_at = now_s
            for sender in self._senders.values():
                sender.keep_alive()

    def _reopen_lost(self) -> None:
        """With nothing to send, reconnect what the other side has closed, so that a dead destination shows."""
        delivery = self._delivery
        for sender in self._senders.values():
            if self._stop.is_set() or not (sender.entity in self._lost or sender.is_lost()):
                continue
            sender.drop()
            self._lost.add(sender.entity)
            try:
                with delivery.telemetry.awaiting(delivery.trouble.host):
                    sender.open()
            except (AzureError, OSError) as error:  # a final error is reported by the next send
                delivery.trouble.seen(self._number, "reconnecting", reason(error))
                return
            self._lost.discard(sender.entity)
        delivery.trouble.over(self._number)

    def _deliver(self, lane: Lane) -> None:
        """Send once from the lane, retrying until it is accepted."""
        failures = 0
        while lane and not self._stop.is_set():
            try:
                self._attempt(lane)
                break
            except (AzureError, OSError) as error:
                failures += 1
                self._endure(lane, error, failures)
        if failures or self._lost or self._was_throttled:
            self._lost.discard(lane.key.entity)
            self._was_throttled = self._was_throttled and self._delivery.rate.is_throttled(time.monotonic())
            if not self._was_throttled:
                self._delivery.trouble.over(self._number)
        with self._changed:
            if lane:
                self._ready.append(lane)
            else:
                del self._lanes[lane.key]

    def _attempt(self, lane: Lane) -> None:
        self._under_way = []
        delivery = self._delivery
        sender = self._sender(lane.key.entity)
        self._sent_at = time.monotonic()
        with self._awaiting():
            limits = sender.open()
        pace = self._pace(lane.key.entity)
        max_bytes = min(limits.max_batch_bytes, delivery.cut.max_bytes)
        with self._changed:
            messages = lane.head(Cut(max_bytes, delivery.cut.max_messages).scaled(pace.share))
        first = messages[0]
        how = way(first, limits)
        if how == "oversize":
            self._reject(lane, first, oversize(lane.key.entity, first, limits.max_message_bytes))
            return
        allowed = self._allowed(len(messages) if how == "batch" else 1)
        if not allowed:
            return
        self._under_way = messages[:allowed]
        with self._awaiting():
            if how == "batch":
                sent, size = sender.send(self._under_way, limits.max_batch_bytes)
            else:
                sent, size = 1, first.size
                sender.send_single(first)
        self._accepted(lane, sent, size)
        pace.recover()

    def _allowed(self, wanted: int) -> int:
        """Wait until the namespace's rate allows a send; return how many messages it may have. 0 on stop."""
        while not self._stop.is_set():
            self._sent_at = time.monotonic()
            grant = self._delivery.rate.take(self._sent_at, wanted)
            if grant.messages:
                return grant.messages
            self._stop.wait(grant.wait_s)
        return 0

    def _endure(self, lane: Lane, error: Exception, failures: int) -> None:
        """Wait before the next attempt. Raises the DStreamError of a final failure."""
        entity = lane.key.entity
        verdict = judge(error, entity, self._delivery.kind, failures, is_sending=bool(self._under_way))
        if isinstance(verdict.error, AuthError) and self._delivery.key_can_change:
            raise TransientError(
                "servicebus.key_refused",
                f"the key is no longer accepted; reading it again: {reason(error)}",
                hint="If it was regenerated, run `dstream init`, which records the new key.",
                config_path="connection",
            ) from error
        is_refused = bool(self._under_way) and verdict.action in ("too_large", "refused")
        if is_refused and len(self._under_way) == 1:
            (message,) = self._under_way
            self._reject(lane, message, _refusal(verdict, entity, message, error))
            return
        if verdict.error is not None and not is_refused:
            raise verdict.error from error
        if verdict.action not in ("refused", "busy"):
            self._pace(entity).slow_down()
        if verdict.action == "reconnect":
            self._sender(entity).drop()
        phase: TroublePhase = "throttled" if verdict.action in ("busy", "full") else "reconnecting"
        if is_refused:
            lane.narrow(len(self._under_way))
        else:
            self._delivery.trouble.seen(self._number, phase, reason(error))
        self._was_throttled = verdict.action == "busy"
        is_known = self._was_throttled and self._delivery.rate.is_throttled(time.monotonic())
        wait_s = 0.0 if is_refused else self._wait_s(failures, verdict.action)
        self._delivery.telemetry.count(
            "send_retries", 1, entity=entity, action=verdict.action, condition=condition_of(error)
        )
        log = self._delivery.telemetry.debug if is_refused or is_known else self._delivery.telemetry.warning
        log(
            "servicebus.retry",
            host=self._delivery.trouble.host,
            entity=entity,
            session=lane.key.session_id,
            action=verdict.action,
            failures=failures,
            wait_s=round(wait_s, 3),
            error=f"{type(error).__name__}: {reason(error)}",
        )
        self._stop.wait(wait_s)
        if phase == "throttled" and not is_refused:
            self._tally.throttled(entity, wait_s)

    def _wait_s(self, failures: int, action: Action) -> float:
        now, jitter = time.monotonic(), random.random()
        if action == "busy":
            return self._delivery.rate.refused(now, self._sent_at, len(self._under_way), jitter)
        return self._delivery.schedule.wait_s(failures, action, jitter)

    def _awaiting(self) -> AbstractContextManager[None]:
        return self._delivery.telemetry.awaiting(self._delivery.trouble.host)

    def _accepted(self, lane: Lane, count: int, size: int) -> None:
        now_s = time.monotonic()
        self._delivery.rate.accepted(now_s, self._sent_at, count)
        lane.widen()
        self._settle(lane, count, rejected=lane.key.is_dead_letter)
        self._tally.accepted(lane.key.entity, count, size, now_s - self._sent_at)

    def _reject(self, lane: Lane, message: Message, refusal: Refusal) -> None:
        """Settle the lane's first message, or send it to the dead-letter queue; send the rows of a pack singly.

        Raises DStreamError.
        """
        if message.rows:
            with self._changed:
                lane.split()
            return
        if lane.key.is_dead_letter:
            raise _not_kept(lane.key.entity, message, refusal)
        redirected = self._delivery.rejected.take(
            refusal, lane.key.entity, message.message_id, message.row, message.size
        )
        if redirected is None:
            self._settle(lane, 1, rejected=True)
            return
        with self._changed:
            ((ticket, _),) = lane.settle(1)
            self.add(redirected.key, ticket, [redirected.message])

    def _settle(self, lane: Lane, count: int, *, rejected: bool) -> None:
        with self._changed:
            settled = lane.settle(count)
        for ticket, messages in settled:
            ticket.settle(messages, rejected=rejected)

    def _sender(self, entity: str) -> EntitySender:
        sender = self._senders.get(entity)
        if sender is None:
            sender = self._senders[entity] = self._delivery.sender(entity)
        return sender

    def _pace(self, entity: str) -> RetryPace:
        return self._paces.setdefault(entity, RetryPace())


def _refusal(verdict: Verdict, entity: str, message: Message, error: Exception) -> Refusal:
    """Return why the service refused this message, which was sent alone."""
    if verdict.error is None:
        return oversize(entity, message, None, reason(error))
    assert isinstance(verdict.error, DataError)  # of the action `refused`
    stop = verdict.error
    named = DataError(stop.code, f"event {message.message_id}: {stop.message}", hint=stop.hint)
    return Refusal("refused", named)


def _not_kept(queue: str, message: Message, refusal: Refusal) -> DataError:
    return DataError(
        "servicebus.dead_letter_refused",
        f'the dead-letter queue "{queue}" does not accept event {message.message_id}: {refusal.error.message}',
        hint='Keep such events in a file: dead_letter { file = "rejected.jsonl" }. The event was not acknowledged.',
        config_path="dead_letter.queue",
    )
