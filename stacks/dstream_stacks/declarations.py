"""Lists the resources of a spec's entities in creation order, for both programs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dstream_stacks.inputs import queue_inputs, rule_inputs, subscription_inputs, topic_inputs
from dstream_stacks.roles import assignment_name, role_definition_id
from dstream_stacks.spec import (
    DEFAULT_RULE,
    AuthorizationRule,
    Kept,
    Queue,
    RoleAssignment,
    Rule,
    ServiceBusSpec,
    Subscription,
    Topic,
)

Kind = Literal[
    "Queue",
    "Topic",
    "Subscription",
    "Rule",
    "DefaultRule",
    "NamespaceAuthorizationRule",
    "QueueAuthorizationRule",
    "TopicAuthorizationRule",
    "RoleAssignment",
]

_EVERYTHING_MATCHES = Rule(sql="1=1")
_NOTHING_MATCHES = Rule(sql="1=0")
_PLAIN = Kept()


@dataclass(frozen=True, slots=True)
class Declaration:
    """One resource below the namespace."""

    kind: Kind
    """The last word of the type token."""
    name: str
    """The logical name: `orders`, `events/audit`, `events/audit/eu`, `orders/sender`, `orders/Sender/PRINCIPAL`."""
    path: Mapping[str, str]
    """The inputs that name it, outermost first: `{"topicName": "events", "subscriptionName": "audit"}`."""
    inputs: Mapping[str, Any]
    """Its other inputs, by their names in Azure."""
    kept: Kept = _PLAIN

    def own_name(self) -> dict[str, str]:
        """The last part of the path. Empty for a DefaultRule, whose name is fixed."""
        return {} if self.kind == "DefaultRule" else dict([list(self.path.items())[-1]])


def declarations(spec: ServiceBusSpec) -> Iterator[Declaration]:
    """Yield parents before children, and forwarding targets before the entities that forward to them.

    Raises ValueError if queues forward in a cycle.
    """
    for topic in spec.topics:
        yield Declaration("Topic", topic.name, {"topicName": topic.name}, topic_inputs(topic), topic)
    for queue in forwarding_order(spec.queues):
        yield Declaration("Queue", queue.name, {"queueName": queue.name}, queue_inputs(queue), queue)
    for topic in spec.topics:
        for subscription in topic.subscriptions:
            yield from _subscription(topic, subscription)
    for rule in spec.authorization_rules:
        yield authorization_rule(rule)
    for assignment in spec.role_assignments:
        yield _role_assignment(spec, assignment)


def rules_of(subscription: Subscription) -> tuple[Rule, ...]:
    """Return its rules, `$Default` last: it must not be narrowed before the rules that replace it exist.

    Every subscription has a `$Default`. By default it matches every message, regardless of the other rules, so with
    other rules it matches nothing unless the spec defines it. It is never left out: azure-native deletes a
    `DefaultRule` that is no longer declared, and a subscription without rules receives nothing (azure-native 3.29.0,
    custom_servicebus_defaultrule.go).
    """
    named = tuple(rule for rule in subscription.rules if rule.name != DEFAULT_RULE)
    own = next((rule for rule in subscription.rules if rule.name == DEFAULT_RULE), None)
    return (*named, own or (_NOTHING_MATCHES if named else _EVERYTHING_MATCHES))


def forwarding_order(queues: tuple[Queue, ...]) -> list[Queue]:
    """Return each queue after those that it forwards to. Raises ValueError whose message is the cycle."""
    by_name = {queue.name.lower(): queue for queue in queues}  # a target may be spelled in another case
    ordered: dict[str, Queue] = {}

    def visit(queue: Queue, way: tuple[str, ...]) -> None:
        if queue.name in way:
            raise ValueError(" -> ".join((*way[way.index(queue.name) :], queue.name)))
        if queue.name in ordered:
            return
        for target in (queue.forward_to, queue.forward_dead_lettered_to):
            if target is not None and target.lower() in by_name:
                visit(by_name[target.lower()], (*way, queue.name))
        ordered[queue.name] = queue

    for queue in queues:
        visit(queue, ())
    return list(ordered.values())


def _subscription(topic: Topic, subscription: Subscription) -> Iterator[Declaration]:
    name = f"{topic.name}/{subscription.name}"
    path = {"topicName": topic.name, "subscriptionName": subscription.name}
    yield Declaration("Subscription", name, path, subscription_inputs(subscription), subscription)
    kept = Kept(import_=subscription.import_)  # protecting or retaining the subscription covers its rules
    for rule in rules_of(subscription):
        kind: Kind = "DefaultRule" if rule.name == DEFAULT_RULE else "Rule"
        yield Declaration(kind, f"{name}/{rule.name}", {**path, "ruleName": rule.name}, rule_inputs(rule), kept)


def authorization_rule(rule: AuthorizationRule) -> Declaration:
    path = {"authorizationRuleName": rule.name}
    inputs = {"rights": list(rule.rights)}
    if rule.queue:
        return Declaration(
            "QueueAuthorizationRule", f"{rule.queue}/{rule.name}", {"queueName": rule.queue, **path}, inputs
        )
    if rule.topic:
        return Declaration(
            "TopicAuthorizationRule", f"{rule.topic}/{rule.name}", {"topicName": rule.topic, **path}, inputs
        )
    return Declaration("NamespaceAuthorizationRule", rule.name, path, inputs)


def _role_assignment(spec: ServiceBusSpec, assignment: RoleAssignment) -> Declaration:
    """Its path starts with the entity that is its scope."""
    names = (("queueName", assignment.queue), ("topicName", assignment.topic))
    scope = {field: name for field, name in (*names, ("subscriptionName", assignment.subscription)) if name}
    entities = (each for each in (*spec.queues, *spec.topics) if each.name in (assignment.queue, assignment.topic))
    kept = next(entities, None) or _PLAIN
    return Declaration(
        "RoleAssignment",
        "/".join((*scope.values(), assignment.role, assignment.principal_id)),
        {**scope, "roleAssignmentName": assignment_name(spec, assignment)},
        {
            "principalId": assignment.principal_id,
            "principalType": assignment.principal_type,
            "roleDefinitionId": role_definition_id(assignment.role),
        },
        Kept(retain_on_delete=kept.retain_on_delete, import_=kept.import_),
    )
