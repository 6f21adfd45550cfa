"""One namespace: the broker used by the AMQP links, $management and the admin endpoint.

Everything runs on one event loop, except the store's commits, which run on a thread. Create it with `open_broker`, on
the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dstream_sandbox.servicebus.broker.alarm import Alarm
from dstream_sandbox.servicebus.broker.delivery import delivery_of
from dstream_sandbox.servicebus.broker.descriptions import RuleDescription
from dstream_sandbox.servicebus.broker.entry import SCHEDULED
from dstream_sandbox.servicebus.broker.errors import EntityError, EntityExists, EntityMissing
from dstream_sandbox.servicebus.broker.lane import Lane
from dstream_sandbox.servicebus.broker.limits import LIMITS, Profile
from dstream_sandbox.servicebus.broker.management import Management
from dstream_sandbox.servicebus.broker.namespace import Namespace, Place, SubscriptionNode, TopicNode
from dstream_sandbox.servicebus.broker.queue import MessageQueue
from dstream_sandbox.servicebus.broker.receivers import Claim, SessionRequest, claim_session
from dstream_sandbox.servicebus.broker.routing import Router
from dstream_sandbox.servicebus.broker.store import Store
from dstream_sandbox.servicebus.core import ANY_SESSION, AmqpError, Delivery, Message, Outcome, ReceiveMode

__all__ = ["LocalBroker", "open_broker"]


def open_broker(data: Path, *, profile: Profile, clock: Callable[[], float]) -> LocalBroker:
    """Return the broker of the entities and messages in the folder `data`. Raises StoreUnavailable."""
    return LocalBroker(Store(data / "servicebus.db"), profile, clock)


class LocalBroker:
    """Implements core.Broker. `entities` creates, changes and deletes entities."""

    def __init__(self, store: Store, profile: Profile, clock: Callable[[], float]) -> None:
        self.profile: Profile = profile
        self.limits = LIMITS[profile]
        self.max_message_size = self.limits.max_message_size
        self.max_batch_size = self.limits.max_batch_size
        self.clock = clock
        self._store = store
        self._alarm = Alarm(clock, self.advance)
        self._namespace = Namespace()
        self._router = Router(self._namespace, self.limits, self._alarm.set)
        self.entities = Management(self._namespace, store, self._router, self.limits, clock)
        self._recover()

    async def close(self) -> None:
        """Write what was accepted, and release the data folder."""
        self._alarm.close()
        await self._store.close()

    def advance(self) -> None:
        """Process what is due: locks, sessions, time to live, scheduled messages."""
        now = self.clock()
        nodes = list(self._router.owners.values())
        for node in nodes:
            node.queue.advance(now)
        if nodes:
            self._alarm.set(min(node.queue.next_due for node in nodes))

    # Entities

    def require(self, path: str, *, for_send: bool) -> None:
        place = self._namespace.place(path)
        node, disabled = place.node, "SendDisabled" if for_send else "ReceiveDisabled"
        if node.description.status in ("Disabled", disabled):
            raise AmqpError("com.microsoft:entity-disabled", f"The messaging entity '{path}' is disabled.")
        if for_send and (isinstance(node, SubscriptionNode) or place.lane not in (None, place.queue.main)):
            raise AmqpError("amqp:not-allowed", f"Messages can't be sent to '{path}'.")

    def requires_session(self, path: str) -> bool:
        lane = self._namespace.place(path).lane
        return lane is not None and lane.sessions is not None

    def list_rules(self, path: str) -> list[RuleDescription]:
        return [rule.description for rule in self._subscription(path).rules.values()]

    async def add_rule(self, path: str, rule: RuleDescription) -> None:
        node = self._subscription(path)
        try:
            await self.entities.create_rule(node.topic_name, node.name, rule)
        except EntityExists as exc:
            raise AmqpError("com.microsoft:entity-already-exists", str(exc)) from exc
        except EntityError as exc:
            raise AmqpError("com.microsoft:argument-error", str(exc)) from exc

    async def remove_rule(self, path: str, name: str) -> None:
        node = self._subscription(path)
        try:
            await self.entities.delete_rule(node.topic_name, node.name, name)
        except EntityMissing as exc:
            raise AmqpError("amqp:not-found", str(exc)) from exc

    # Sending

    async def send(self, path: str, messages: Sequence[Message]) -> None:
        self._store_sent(path, messages)
        await self._store.open().join()

    async def schedule(self, path: str, messages: Sequence[Message]) -> list[int]:
        # A time in the past means now, but the caller expects the sequence number of a scheduled message.
        soon = self.clock() + 0.001
        numbers = self._store_sent(path, [replace(m, scheduled_at=max(m.scheduled_at or soon, soon)) for m in messages])
        await self._store.open().join()
        return numbers

    async def cancel_scheduled(self, path: str, sequence_numbers: Sequence[int]) -> None:
        queue = self._namespace.place(path).queue
        queue.advance(self.clock())
        tx = self._store.open()
        queue.cancel_scheduled(tx, sequence_numbers)
        await tx.join()

    # Receiving

    async def receiver(self, path: str, mode: ReceiveMode, session: str | object | None) -> Claim:
        self.require(path, for_send=False)
        place = self._namespace.place(path)
        queue, lane = place.queue, _lane(place, path)
        if not isinstance(place.node, TopicNode) and lane is queue.main and place.node.description.forward_to:
            raise AmqpError(
                "amqp:not-allowed", f"Messages can't be received from '{path}': it forwards them to another entity."
            )
        if session is None:
            if lane.sessions is not None:
                raise AmqpError(
                    "amqp:not-allowed",
                    "It is not possible for an entity that requires sessions to create a non-sessionful message"
                    f" receiver: '{path}'.",
                )
            return Claim(queue, lane, mode, self._store, self.clock)
        if lane.sessions is None:
            raise AmqpError(
                "amqp:not-allowed", f"A session receiver can't be created on '{path}', which has no sessions."
            )
        if session is ANY_SESSION:
            return await self._next_session(queue, lane, mode)
        return claim_session(queue, str(session), mode, self._store, self.clock)

    async def settle(
        self,
        path: str,
        lock_token: bytes,
        outcome: Outcome,
        *,
        reason: str = "",
        description: str = "",
        properties: Mapping[str, object] | None = None,
    ) -> None:
        place = self._namespace.place(path)
        tx = place.queue.settle(
            _lane(place, path), lock_token, outcome, self.clock(),
            reason=reason, description=description, properties=properties,
        )  # fmt: skip
        if tx is not None:
            await tx.join()

    def renew_locks(self, path: str, lock_tokens: Sequence[bytes]) -> list[float]:
        place = self._namespace.place(path)
        return place.queue.renew(_lane(place, path), lock_tokens, self.clock())

    async def receive_deferred(
        self, path: str, sequence_numbers: Sequence[int], mode: ReceiveMode, session_id: str | None
    ) -> list[Delivery]:
        place = self._namespace.place(path)
        queue, lane, now = place.queue, _lane(place, path), self.clock()
        if session_id is not None and lane.sessions is not None:
            queue.held_session(session_id, now)
        queue.advance(now)
        entries = queue.deferred(lane, sequence_numbers, session_id)
        if mode == "peek_lock":
            queue.lock_deferred(entries, session_id, now)
            return [delivery_of(entry, queue.lock_of(entry)) for entry in entries]
        deliveries = [delivery_of(entry, None) for entry in entries]
        tx = self._store.open()
        for entry in entries:
            queue.remove(tx, lane, entry)
        await tx.join()
        return deliveries

    def peek(self, path: str, from_sequence: int, count: int, session_id: str | None) -> list[Delivery]:
        place = self._namespace.place(path)
        place.queue.advance(self.clock())
        entries = place.queue.peek(_lane(place, path), from_sequence, count, session_id)
        return [delivery_of(entry, None, SCHEDULED if entry.state is SCHEDULED else None) for entry in entries]

    # Sessions

    def renew_session_lock(self, path: str, session_id: str) -> float:
        queue, now = self._namespace.place(path).queue, self.clock()
        session = queue.held_session(session_id, now)
        queue.hold_session(session_id, session, now)
        return session.locked_until

    def get_session_state(self, path: str, session_id: str) -> bytes | None:
        queue = self._namespace.place(path).queue
        queue.held_session(session_id, self.clock())
        state = queue.session_states.get(session_id)
        return state[0] if state else None

    async def set_session_state(self, path: str, session_id: str, state: bytes | None) -> None:
        queue, now = self._namespace.place(path).queue, self.clock()
        queue.held_session(session_id, now)
        tx = self._store.open()
        tx.put_session(queue.id, session_id, state, now)
        tx.undo(_put_state, queue, session_id, queue.session_states.get(session_id))
        _put_state(queue, session_id, None if state is None else (state, now))
        await tx.join()

    def list_sessions(self, path: str, updated_since: float | None, skip: int, top: int) -> list[str]:
        """List the sessions that have messages or, with `updated_since`, whose state was set after that time."""
        queue = self._namespace.place(path).queue
        if updated_since is None:
            found = [s for s, session in (queue.main.sessions or {}).items() if session.live]
        else:
            found = [s for s, (_, at) in queue.session_states.items() if at > updated_since]
        return sorted(found)[skip : skip + top]

    # Inside

    def _subscription(self, path: str) -> SubscriptionNode:
        node = self._namespace.place(path).node
        if not isinstance(node, SubscriptionNode):
            raise AmqpError("amqp:not-allowed", f"'{path}' is not a subscription and has no rules.")
        return node

    def _store_sent(self, path: str, messages: Sequence[Message]) -> list[int]:
        place = self._namespace.place(path)
        if place.lane not in (None, place.queue.main):
            raise AmqpError("amqp:not-allowed", f"Messages can't be sent to '{path}'.")
        return self._router.send(self._store.open, place.node, messages, self.clock())

    async def _next_session(self, queue: MessageQueue, lane: Lane, mode: ReceiveMode) -> Claim:
        def claim(session_id: str) -> Claim:
            return claim_session(queue, session_id, mode, self._store, self.clock)

        request = SessionRequest(claim, lane)
        if not request.offer():
            lane.session_waiters.append(request)
        try:
            return await request.future
        except asyncio.CancelledError:
            if request.future.done() and not request.future.cancelled() and not request.future.exception():
                request.future.result().close()
            raise

    def _recover(self) -> None:
        for stored in self._store.entities():
            self.entities.recover(stored)
        owners = self._router.owners
        for queue_id, next_sequence in self._store.counters().items():
            owners[queue_id].queue.next_sequence = next_sequence
        for queue_id, at, keys in self._store.history():
            node = owners[queue_id]
            if not isinstance(node, SubscriptionNode) and node.history is not None:
                node.history.recall(at, keys)
        for queue_id, session_id, state, at in self._store.sessions():
            owners[queue_id].queue.session_states[session_id] = (state, at)
        for batch, entries, lanes in self._store.entries():
            owners[batch.queue_id].queue.recover(entries, lanes)


def _lane(place: Place, path: str) -> Lane:
    if place.lane is None:
        raise AmqpError("amqp:not-allowed", f"'{path}' is a topic; messages are in its subscriptions.")
    return place.lane


def _put_state(queue: MessageQueue, session_id: str, state: tuple[bytes, float] | None) -> None:
    if state is None:
        queue.session_states.pop(session_id, None)
    else:
        queue.session_states[session_id] = state
