"""Creates, changes and deletes entities. All changes are durable when the methods return."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from dstream_sandbox.servicebus.broker.description_codec import read_entity, read_rule, to_json
from dstream_sandbox.servicebus.broker.descriptions import (
    QueueDescription,
    RuleDescription,
    SubscriptionDescription,
    TopicDescription,
)
from dstream_sandbox.servicebus.broker.duplicates import DuplicateHistory
from dstream_sandbox.servicebus.broker.errors import EntityExists, EntityInvalid, EntityMissing
from dstream_sandbox.servicebus.broker.limits import Limits
from dstream_sandbox.servicebus.broker.namespace import (
    Namespace,
    Node,
    QueueNode,
    RuleNode,
    SubscriptionNode,
    TopicNode,
)
from dstream_sandbox.servicebus.broker.queue import MessageQueue
from dstream_sandbox.servicebus.broker.routing import Router
from dstream_sandbox.servicebus.broker.store import StoredEntity
from dstream_sandbox.servicebus.broker.transaction import Journal, Transaction
from dstream_sandbox.servicebus.broker.validation import (
    check_change,
    check_entity_name,
    check_part_name,
    check_queue,
    check_rule,
    check_subscription,
    check_topic,
)
from dstream_sandbox.servicebus.core import AmqpError
from dstream_sandbox.servicebus.filters.errors import FilterSyntaxError
from dstream_sandbox.servicebus.filters.rule import CompiledRule, compile_rule

__all__ = ["Management"]

_Sized = TypeVar("_Sized", QueueDescription, TopicDescription)
_NodeType = TypeVar("_NodeType", QueueNode, TopicNode, SubscriptionNode)


class Management:
    """Each method raises EntityError and awaits the store."""

    def __init__(
        self, namespace: Namespace, journal: Journal, router: Router, limits: Limits, clock: Callable[[], float]
    ) -> None:
        self.namespace = namespace
        self._journal = journal
        self._router = router
        self._limits = limits
        self._clock = clock
        self._last_id = 0

    # Reading

    def queue(self, name: str) -> QueueNode:
        return self._found(self.namespace.queues.get(name.lower()), name)

    def topic(self, name: str) -> TopicNode:
        return self._found(self.namespace.topics.get(name.lower()), name)

    def subscription(self, topic: str, name: str) -> SubscriptionNode:
        return self._found(self.topic(topic).subscriptions.get(name.lower()), f"{topic}/Subscriptions/{name}")

    def rule(self, topic: str, subscription: str, name: str) -> RuleDescription:
        rule = self.subscription(topic, subscription).rules.get(name.lower())
        if rule is None:
            raise EntityMissing(_missing(f"{topic}/Subscriptions/{subscription}/Rules/{name}"))
        return rule.description

    # Queues and topics

    async def create_queue(self, name: str, description: QueueDescription | None = None) -> QueueNode:
        description = self._with_size(description or QueueDescription())
        check_queue(description, self._limits)
        self._check_new(name)
        self._check_targets(name, description)
        now = self._clock()
        node = self._new_queue(self._new_id(), name, description, now, now)
        await self._created(node, "queue", name, to_json(description))
        return node

    async def update_queue(self, name: str, description: QueueDescription) -> QueueNode:
        node = self.queue(name)
        description = self._with_size(description)
        check_change("Queue", node.description, description)
        check_queue(description, self._limits)
        self._check_targets(name, description)
        await self._updated(node, description)
        return node

    async def create_topic(self, name: str, description: TopicDescription | None = None) -> TopicNode:
        description = self._with_size(description or TopicDescription())
        check_topic(description, self._limits)
        self._check_new(name)
        now = self._clock()
        node = self._new_topic(self._new_id(), name, description, now, now)
        await self._created(node, "topic", name, to_json(description))
        return node

    async def update_topic(self, name: str, description: TopicDescription) -> TopicNode:
        node = self.topic(name)
        description = self._with_size(description)
        check_change("Topic", node.description, description)
        check_topic(description, self._limits)
        await self._updated(node, description)
        return node

    # Subscriptions and rules

    async def create_subscription(
        self,
        topic: str,
        name: str,
        description: SubscriptionDescription | None = None,
        rule: RuleDescription | None = None,
    ) -> SubscriptionNode:
        """`rule` replaces the default rule, which matches everything."""
        description = description or SubscriptionDescription()
        check_part_name("subscription", name)
        check_subscription(description)
        parent = self.topic(topic)
        path = f"{parent.name}/Subscriptions/{name}"
        if name.lower() in parent.subscriptions:
            raise EntityExists(_exists(path))
        self._check_targets(path, description)
        now = self._clock()
        rule = replace(rule or RuleDescription(), created_at=now)
        check_rule(rule)
        compiled = _compiled(rule)
        node = self._new_subscription(self._new_id(), parent, name, description, now, now)
        tx = self._journal.open()
        rule_node = RuleNode(self._new_id(), rule, compiled)
        node.rules[rule.name.lower()] = rule_node
        tx.put_entity(rule_node.id, "rule", f"{path}/Rules/{rule.name}", to_json(rule), now, now)
        await self._created(node, "subscription", path, to_json(description))
        return node

    async def update_subscription(
        self, topic: str, name: str, description: SubscriptionDescription
    ) -> SubscriptionNode:
        node = self.subscription(topic, name)
        check_change("Subscription", node.description, description)
        check_subscription(description)
        self._check_targets(node.path, description)
        await self._updated(node, description)
        return node

    async def create_rule(self, topic: str, subscription: str, rule: RuleDescription) -> RuleDescription:
        node = self.subscription(topic, subscription)
        check_rule(rule)
        path = f"{node.path}/Rules/{rule.name}"
        if rule.name.lower() in node.rules:
            raise EntityExists(_exists(path))
        now = self._clock()
        rule = replace(rule, created_at=now)
        compiled = _compiled(rule)
        rule_node = RuleNode(self._new_id(), rule, compiled)
        node.rules[rule.name.lower()] = rule_node
        tx = self._journal.open()
        tx.put_entity(rule_node.id, "rule", path, to_json(rule), now, now)
        tx.undo(_forget_rule, node, rule.name)
        await tx.join()
        return rule

    async def update_rule(self, topic: str, subscription: str, rule: RuleDescription) -> RuleDescription:
        old = self.rule(topic, subscription, rule.name)
        node = self.subscription(topic, subscription)
        rule = replace(rule, name=old.name, created_at=old.created_at)
        check_rule(rule)
        rule_node = node.rules[rule.name.lower()]
        before = rule_node.description, rule_node.rule
        rule_node.description, rule_node.rule = rule, _compiled(rule)
        now = self._clock()
        tx = self._journal.open()
        tx.put_entity(rule_node.id, "rule", f"{node.path}/Rules/{rule.name}", to_json(rule), rule.created_at, now)
        tx.undo(_put_rule_back, rule_node, *before)
        await tx.join()
        return rule

    async def delete_rule(self, topic: str, subscription: str, name: str) -> None:
        self.rule(topic, subscription, name)
        node = self.subscription(topic, subscription)
        rule_node = node.rules.pop(name.lower())
        tx = self._journal.open()
        tx.delete_entity(rule_node.id)
        tx.undo(node.rules.__setitem__, name.lower(), rule_node)
        await tx.join()

    # Deleting

    async def delete_queue(self, name: str) -> None:
        node = self.queue(name)
        tx = self._journal.open()
        self._delete(tx, node)
        await tx.join()

    async def delete_topic(self, name: str) -> None:
        node = self.topic(name)
        tx = self._journal.open()
        for subscription in list(node.subscriptions.values()):
            self._delete_subscription(tx, subscription)
        self._delete(tx, node)
        await tx.join()

    async def delete_subscription(self, topic: str, name: str) -> None:
        node = self.subscription(topic, name)
        tx = self._journal.open()
        self._delete_subscription(tx, node)
        await tx.join()

    # Recovery

    def recover(self, stored: StoredEntity) -> None:
        """Restore an entity. They are stored in order of creation, so a topic comes before its subscriptions."""
        self._last_id = max(self._last_id, stored.id)
        times = stored.created_at, stored.updated_at
        if stored.kind == "queue":
            self._new_queue(stored.id, stored.path, read_entity(QueueDescription, stored.description), *times)
        elif stored.kind == "topic":
            self._new_topic(stored.id, stored.path, read_entity(TopicDescription, stored.description), *times)
        elif stored.kind == "subscription":
            topic, _, name = stored.path.rpartition("/Subscriptions/")
            description = read_entity(SubscriptionDescription, stored.description)
            self._new_subscription(stored.id, self.topic(topic), name, description, *times)
        else:
            rule = read_rule(stored.description)
            owner = self.namespace.find(stored.path.rpartition("/Rules/")[0])
            if isinstance(owner, SubscriptionNode):
                owner.rules[rule.name.lower()] = RuleNode(stored.id, rule, _compiled(rule))

    # Inside

    def _new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _new_queue(self, id_: int, name: str, d: QueueDescription, created_at: float, updated_at: float) -> QueueNode:
        queue = MessageQueue(id_, name, d, self._journal, self._router)
        node = QueueNode(id_, name, d, created_at, updated_at, queue, _history(d))
        self._put(node)
        return node

    def _new_topic(self, id_: int, name: str, d: TopicDescription, created_at: float, updated_at: float) -> TopicNode:
        queue = MessageQueue(id_, name, QueueDescription(), self._journal, self._router)
        node = TopicNode(id_, name, d, created_at, updated_at, queue, _history(d))
        self._put(node)
        return node

    def _new_subscription(
        self, id_: int, topic: TopicNode, name: str, d: SubscriptionDescription, created_at: float, updated_at: float
    ) -> SubscriptionNode:
        queue = MessageQueue(id_, f"{topic.name}/Subscriptions/{name}", d, self._journal, self._router)
        node = SubscriptionNode(id_, name, topic.name, d, created_at, updated_at, queue)
        self._put(node)
        return node

    def _put(self, node: Node) -> None:
        self._router.owners[node.id] = node
        if isinstance(node, QueueNode):
            self.namespace.queues[node.name.lower()] = node
        elif isinstance(node, TopicNode):
            self.namespace.topics[node.name.lower()] = node
        else:
            self.topic(node.topic_name).subscriptions[node.name.lower()] = node
        self.namespace.changed()

    async def _created(self, node: Node, kind: str, path: str, description: str) -> None:
        tx = self._journal.open()
        tx.put_entity(node.id, kind, path, description, node.created_at, node.updated_at)
        tx.undo(self._remove, node)
        await tx.join()

    async def _updated(
        self, node: Node, description: QueueDescription | TopicDescription | SubscriptionDescription
    ) -> None:
        now = self._clock()
        tx = self._journal.open()
        tx.put_entity(node.id, "", node.path, to_json(description), node.created_at, now)
        tx.undo(self._apply, node, node.description, node.updated_at)
        self._apply(node, description, now)
        if not isinstance(node, TopicNode) and node.description.forward_to:
            self._router.forward_waiting(tx, node, now)
        await tx.join()

    def _apply(self, node: Node, description: object, now: float) -> None:
        node.description = description  # type: ignore[assignment]  # the callers pass the kind that the node has
        node.updated_at = now
        if isinstance(node, TopicNode):
            node.history = _kept_history(node.history, node.description)
            return
        node.queue.policy = node.description
        if isinstance(node, QueueNode):
            node.history = _kept_history(node.history, node.description)
        if node.description.status in ("Disabled", "ReceiveDisabled"):
            error = AmqpError(
                "com.microsoft:entity-disabled", f"The messaging entity '{node.path}' is disabled for receiving."
            )
            node.queue.lose(error)

    def _delete_subscription(self, tx: Transaction, node: SubscriptionNode) -> None:
        for rule in node.rules.values():
            tx.delete_entity(rule.id)
        self._delete(tx, node)

    def _delete(self, tx: Transaction, node: Node) -> None:
        tx.delete_entity(node.id)
        tx.undo(self._put, node)
        self._remove(node)
        node.queue.lose(AmqpError("amqp:not-found", f"The messaging entity '{node.path}' could not be found."))

    def _remove(self, node: Node) -> None:
        self._router.owners.pop(node.id, None)
        if isinstance(node, QueueNode):
            self.namespace.queues.pop(node.name.lower(), None)
        elif isinstance(node, TopicNode):
            self.namespace.topics.pop(node.name.lower(), None)
        elif topic := self.namespace.topics.get(node.topic_name.lower()):
            topic.subscriptions.pop(node.name.lower(), None)
        self.namespace.changed()

    def _with_size(self, description: _Sized) -> _Sized:
        if description.max_message_size_kb is None and self._limits.default_message_size_kb:
            return replace(description, max_message_size_kb=self._limits.default_message_size_kb)
        return description

    def _check_new(self, name: str) -> None:
        check_entity_name(name)
        if name.lower() in self.namespace.queues or name.lower() in self.namespace.topics:
            raise EntityExists(_exists(name))

    def _check_targets(self, path: str, description: QueueDescription | SubscriptionDescription) -> None:
        """Check that forwarding targets are existing queues or topics, and not the entity itself."""
        for target in (description.forward_to, description.forward_dead_letters_to):
            if not target:
                continue
            if target.strip("/").lower() == path.lower():
                raise EntityInvalid(f"SubCode=40000. The entity '{path}' can't forward messages to itself.")
            found = self.namespace.find(target)
            if found is None or isinstance(found, SubscriptionNode):
                raise EntityInvalid(
                    f"SubCode=40000. The auto forwarding destination entity '{target}' does not exist or is not a queue"
                    " or topic."
                )

    @staticmethod
    def _found(node: _NodeType | None, path: str) -> _NodeType:
        if node is None:
            raise EntityMissing(_missing(path))
        return node


def _history(d: QueueDescription | TopicDescription) -> DuplicateHistory | None:
    if not d.requires_duplicate_detection:
        return None
    return DuplicateHistory(d.duplicate_window_s, partitioned=d.enable_partitioning)


def _kept_history(history: DuplicateHistory | None, d: QueueDescription | TopicDescription) -> DuplicateHistory | None:
    if history is not None:
        history.window_s = d.duplicate_window_s
    return history


def _compiled(rule: RuleDescription) -> CompiledRule:
    try:
        return compile_rule(rule)
    except FilterSyntaxError as exc:
        raise EntityInvalid(f"SubCode=40000. {exc}") from exc


def _forget_rule(node: SubscriptionNode, name: str) -> None:
    node.rules.pop(name.lower(), None)


def _put_rule_back(node: RuleNode, description: RuleDescription, rule: CompiledRule) -> None:
    node.description, node.rule = description, rule


def _missing(path: str) -> str:
    return f"SubCode=40400. Not Found. The messaging entity '{path}' could not be found."


def _exists(path: str) -> str:
    return f"SubCode=40900. Conflict. The messaging entity '{path}' already exists (MessagingEntityAlreadyExists)."
