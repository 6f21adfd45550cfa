"""Routes messages: into a queue, through a topic's rules, along forwarding, and to dead-letter sub-queues.

Messages sent to an entity are checked first, and refused as a whole. Messages that cannot be forwarded afterwards are
not refused, but kept in the transfer dead-letter sub-queue of the forwarding entity (Microsoft, "Chaining Service Bus
entities with autoforwarding"; "Overview of Service Bus dead-letter queues").
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dstream_sandbox.servicebus.broker.delivery import message_of
from dstream_sandbox.servicebus.broker.descriptions import FOREVER_S
from dstream_sandbox.servicebus.broker.entry import NO_OVERLAY, Entry, Overlay
from dstream_sandbox.servicebus.broker.limits import Limits, check_size
from dstream_sandbox.servicebus.broker.namespace import Namespace, Node, QueueNode, SubscriptionNode, TopicNode
from dstream_sandbox.servicebus.broker.queue import MessageQueue
from dstream_sandbox.servicebus.broker.transaction import Transaction
from dstream_sandbox.servicebus.core import AmqpError, Message
from dstream_sandbox.servicebus.filters.errors import FilterError
from dstream_sandbox.servicebus.filters.properties import MessageProperties

__all__ = ["Router"]

_MAX_HOPS = 4
_NO_SESSION = "Session enabled entity doesn't allow a message whose session identifier is null."

Overlays = Sequence[Overlay | None] | None


@dataclass(frozen=True, slots=True)
class _Parcel:
    """Messages being routed, with their overlays, hops and limit of the time to live."""

    messages: Sequence[Message]
    overlays: Overlays = None
    hops: int = 0
    max_ttl_s: float = FOREVER_S


class Router:
    """Implements MessageQueue's Outlets."""

    def __init__(self, namespace: Namespace, limits: Limits, alarm: Callable[[float], None]) -> None:
        self._namespace = namespace
        self._limits = limits
        self.alarm = alarm
        self.owners: dict[int, Node] = {}  # by the queue's id

    def send(self, tx: Callable[[], Transaction], node: Node, messages: Sequence[Message], now: float) -> list[int]:
        """Check and store the messages of a client. Return the sequence numbers of those stored in the entity itself.

        `tx` opens the transaction, after all checks. Raises AmqpError.
        """
        if isinstance(node, SubscriptionNode):
            raise AmqpError("amqp:not-allowed", "Messages can't be sent to a subscription; send to its topic.")
        size = check_size(self._limits, messages, node.description.max_message_size_kb)
        if error := self._refusal(node, messages, size) or _spread(node, messages):
            raise error
        opened = tx()
        node.queue.accessed_at = now
        fresh = self._without_duplicates(opened, node, messages, now)
        return self._accept(opened, node, fresh, now) if fresh else []

    def forward_dead(self, tx: Transaction, queue: MessageQueue, entry: Entry, overlay: Overlay, now: float) -> bool:
        node = self.owners.get(queue.id)
        if node is None or isinstance(node, TopicNode) or not node.description.forward_dead_letters_to:
            return False
        target = self._namespace.find(node.description.forward_dead_letters_to)
        message = message_of(entry)
        if target is None or self._refusal(target, [message], len(entry.encoded)):
            return False
        carried = replace(overlay, dead_letter_source=overlay.dead_letter_source or node.path)
        self._enter(tx, target, _Parcel([replace(message, ttl_s=None)], [carried], 1), now)
        return True

    def enqueue_due(self, tx: Transaction, queue: MessageQueue, entries: list[Entry], now: float) -> None:
        node = self.owners[queue.id]
        self._pass_on(tx, node, _Parcel([message_of(e) for e in entries], _overlays(entries)), now)

    def forward_waiting(self, tx: Transaction, node: QueueNode | SubscriptionNode, now: float) -> None:
        """Forward the waiting messages, after forwarding was enabled."""
        sessions: list[str | None] = list(node.queue.main.sessions) if node.queue.main.sessions is not None else [None]
        for session_id in sessions:
            while entries := node.queue.pull_ready(tx, node.queue.main, session_id, 1000, now):
                self._pass_on(tx, node, _Parcel([message_of(e) for e in entries], _overlays(entries)), now)

    def _accept(
        self, tx: Transaction, node: QueueNode | TopicNode, messages: Sequence[Message], now: float
    ) -> list[int]:
        """Schedule, store or pass on messages that the entity has accepted."""
        later = [m for m in messages if m.scheduled_at is not None and m.scheduled_at > now]
        if not later:
            return self._pass_on(tx, node, _Parcel(messages), now)
        numbers = node.queue.store(tx, later, now, max_ttl_s=node.description.default_ttl_s)
        due = [m for m in messages if m.scheduled_at is None or m.scheduled_at <= now]
        return numbers + (self._pass_on(tx, node, _Parcel(due), now) if due else [])

    def _pass_on(self, tx: Transaction, node: Node, parcel: _Parcel, now: float) -> list[int]:
        """Store the messages, or pass them to the subscriptions or to the forwarding target."""
        if isinstance(node, TopicNode):
            ttl = min(parcel.max_ttl_s, node.description.default_ttl_s)
            for subscription in node.subscriptions.values():
                self._fan_out(tx, subscription, replace(parcel, max_ttl_s=ttl), now)
            return []
        if not node.description.forward_to:
            return node.queue.store(tx, parcel.messages, now, overlays=parcel.overlays, max_ttl_s=parcel.max_ttl_s)
        self._forward(tx, node, node.description.forward_to, parcel, now)
        return []

    def _forward(
        self, tx: Transaction, node: QueueNode | SubscriptionNode, path: str, parcel: _Parcel, now: float
    ) -> None:
        target = self._namespace.find(path)
        if parcel.hops >= _MAX_HOPS:
            self._bury(tx, node, parcel, "MaxTransferHopCountExceeded", "The maximum number of hops is four.", now)
        elif target is None:
            self._bury(
                tx, node, parcel, "MessagingEntityNotFound", f"The messaging entity '{path}' could not be found.", now
            )
        elif error := self._refusal(target, parcel.messages, sum(len(m.encoded) for m in parcel.messages)):
            self._bury(tx, node, parcel, error.condition, error.description, now)
        else:
            self._enter(tx, target, replace(parcel, hops=parcel.hops + 1), now)

    def _enter(self, tx: Transaction, node: Node, parcel: _Parcel, now: float) -> None:
        """Add forwarded messages to an entity that accepts them."""
        if not isinstance(node, SubscriptionNode) and node.history is not None:
            fresh = self._without_duplicates(tx, node, parcel.messages, now)
            if len(fresh) < len(parcel.messages):
                kept = {id(m) for m in fresh}
                parcel = _chosen(parcel, [id(m) in kept for m in parcel.messages])
        if parcel.messages:
            self._pass_on(tx, node, parcel, now)

    def _fan_out(self, tx: Transaction, node: SubscriptionNode, parcel: _Parcel, now: float) -> None:
        rules = [r.rule for r in node.rules.values()]
        if not any(rule.always and not rule.has_action for rule in rules) or any(rule.has_action for rule in rules):
            parcel = self._matching(tx, node, parcel, now)
        if not parcel.messages:
            return
        if node.description.requires_session:
            has_session = [m.session_id is not None for m in parcel.messages]
            if not all(has_session):
                sessionless = _chosen(parcel, [not known for known in has_session])
                self._bury_in(tx, node, sessionless, "Session ID is null.", _NO_SESSION, now)
                parcel = _chosen(parcel, has_session)
        if parcel.messages:
            self._pass_on(tx, node, parcel, now)

    def _matching(self, tx: Transaction, node: SubscriptionNode, parcel: _Parcel, now: float) -> _Parcel:
        """The messages that match: one copy for all rules without an action, and one for each rule with an action
        (Microsoft, "Topic filters and actions")."""
        messages: list[Message] = []
        overlays: list[Overlay | None] = []
        for n, message in enumerate(parcel.messages):
            overlay = parcel.overlays[n] if parcel.overlays else None
            try:
                copies = _copies(node, message)
            except FilterError as exc:
                if node.description.dead_letter_on_filter_errors:
                    self._bury_in(tx, node, _Parcel([message], [overlay]), "FilterEvaluationException", str(exc), now)
                continue
            messages += copies
            overlays += [overlay] * len(copies)
        return replace(parcel, messages=messages, overlays=overlays if parcel.overlays else None)

    def _bury(
        self, tx: Transaction, node: QueueNode | SubscriptionNode, parcel: _Parcel, reason: str, why: str, now: float
    ) -> None:
        """Keep messages that could not be forwarded."""
        overlays = _with_reason(parcel, reason, why)
        node.queue.store(tx, parcel.messages, now, overlays=overlays, lane=node.queue.transfer_dead)

    def _bury_in(
        self, tx: Transaction, node: SubscriptionNode, parcel: _Parcel, reason: str, why: str, now: float
    ) -> None:
        overlays = _with_reason(parcel, reason, why)
        node.queue.store(tx, parcel.messages, now, overlays=overlays, lane=node.queue.dead)

    def _without_duplicates(
        self, tx: Transaction, node: QueueNode | TopicNode, messages: Sequence[Message], now: float
    ) -> Sequence[Message]:
        history = node.history
        if history is None:
            return messages
        if (until := history.prune(now)) is not None:
            tx.forget(node.id, until)
        fresh, keys = history.admit(messages, now)
        if keys:
            tx.remember(node.id, now, json.dumps(keys))
            tx.undo(history.withdraw, keys)
        return fresh

    def _refusal(self, node: Node, messages: Sequence[Message], size: int) -> AmqpError | None:
        """The reason why an entity refuses these messages, or None."""
        if isinstance(node, SubscriptionNode):
            return AmqpError("amqp:not-allowed", "Messages can't be sent to a subscription; send to its topic.")
        if node.description.status in ("Disabled", "SendDisabled"):
            return AmqpError(
                "com.microsoft:entity-disabled", f"The messaging entity '{node.path}' is disabled for sending."
            )
        used = node.size_bytes if isinstance(node, TopicNode) else node.queue.size_bytes
        quota = node.description.max_size_mb * 1024 * 1024
        if used + size > quota:
            return AmqpError(
                "amqp:resource-limit-exceeded",
                f"The maximum entity size has been reached or exceeded for '{node.path}'."
                f" Size of entity in bytes:{used}, Max entity size in bytes:{quota}.",
            )
        needs_session = isinstance(node, QueueNode) and node.description.requires_session
        if needs_session and any(m.session_id is None for m in messages):
            return AmqpError(
                "amqp:not-allowed",
                "The SessionId was not set on a message, and it cannot be sent to the entity. Entities that have"
                " session support enabled can only receive messages that have the SessionId set to a valid value.",
            )
        return None


def _spread(node: QueueNode | TopicNode, messages: Sequence[Message]) -> AmqpError | None:
    """Whether a batch is for several partitions. Wording: azure-service-bus issue 103; see also azure-sdk-for-python
    36333."""
    description = node.description
    if not (description.enable_partitioning and description.requires_duplicate_detection):
        return None
    if len({(m.session_id, m.partition_key, m.message_id) for m in messages}) <= 1:
        return None
    return AmqpError(
        "amqp:not-allowed",
        "Batching brokered messages with distinct SessionId, PartitionKey, or MessageId is not supported for an entity"
        " with partitioning and duplicate detection enabled.",
    )


def _copies(node: SubscriptionNode, message: Message) -> list[Message]:
    plain, copies = False, []
    properties = MessageProperties(message)
    for rule_node in node.rules.values():
        rule = rule_node.rule
        if not rule.matches(properties):
            continue
        if rule.has_action:
            copies.append(rule.apply(message))
        else:
            plain = True
    return [message, *copies] if plain else copies


def _chosen(parcel: _Parcel, choice: Sequence[bool]) -> _Parcel:
    overlays = parcel.overlays
    return replace(
        parcel,
        messages=[m for m, keep in zip(parcel.messages, choice, strict=True) if keep],
        overlays=[o for o, keep in zip(overlays, choice, strict=True) if keep] if overlays else None,
    )


def _with_reason(parcel: _Parcel, reason: str, description: str) -> list[Overlay]:
    why = {"DeadLetterReason": reason, "DeadLetterErrorDescription": description}
    return [(o or NO_OVERLAY).with_properties(why) for o in parcel.overlays or [None] * len(parcel.messages)]


def _overlays(entries: Sequence[Entry]) -> Overlays:
    return [e.overlay for e in entries] if any(e.overlay for e in entries) else None
