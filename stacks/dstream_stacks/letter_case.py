"""Keeps the recorded spelling of names, because Azure's names ignore case but the engine's do not. Pure.

To the engine, `Orders` and `orders` are two resources: it would create one and delete the other, which in Azure is the
same queue (Microsoft: "Naming rules and restrictions for Azure resources": names are case-insensitive). azure-native
ignores case in the name of the resource group only (pulumi-azure-native, pull request 2910).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from dstream_stacks.spec import AuthorizationRule, Namespace, RoleAssignment, Rule, ServiceBusSpec, Subscription, Topic

_PLACE = ("resourceGroupName", "namespaceName", "privateEndpointName")
_ENTITY = ("queueName", "topicName", "subscriptionName", "ruleName", "authorizationRuleName")
_Named = TypeVar("_Named", bound=msgspec.Struct)
_Path = tuple[tuple[str, str], ...]


def with_recorded_case(spec: ServiceBusSpec, recorded: Iterable[Mapping[str, Any]]) -> ServiceBusSpec:
    """Return the spec with the spelling of the resources in the record. `recorded`: their inputs."""
    return _Spelling(recorded).applied(spec)


class _Spelling:
    """The recorded names, by path in lower case: the names of the parents and its own."""

    def __init__(self, recorded: Iterable[Mapping[str, Any]]) -> None:
        self._names: dict[_Path, str] = {}
        for inputs in recorded:
            for field in _PLACE:
                self._learn(((field, inputs.get(field)),))
            path = tuple((field, inputs[field]) for field in _ENTITY if isinstance(inputs.get(field), str))
            for length in range(1, len(path) + 1):
                self._learn(path[:length])

    def applied(self, spec: ServiceBusSpec) -> ServiceBusSpec:
        return msgspec.structs.replace(
            spec,
            resource_group=spec.resource_group and self._named(spec.resource_group, "resourceGroupName"),
            namespace=spec.namespace and self._namespace(spec.namespace),
            queues=tuple(self._named(each, "queueName") for each in spec.queues),
            topics=tuple(self._topic(each) for each in spec.topics),
            authorization_rules=tuple(self._authorization_rule(each) for each in spec.authorization_rules),
            publisher=spec.publisher and self._authorization_rule(spec.publisher),
            role_assignments=tuple(self._role_assignment(each) for each in spec.role_assignments),
        )

    def _learn(self, path: tuple[tuple[str, Any], ...]) -> None:
        if isinstance(name := path[-1][1], str):
            self._names[_lower(path)] = name

    def _named(self, value: _Named, field: str, *parents: tuple[str, str]) -> _Named:
        name: str = value.name  # type: ignore[attr-defined]  # every value of a spec has a name
        return msgspec.structs.replace(value, name=self._names.get(_lower((*parents, (field, name))), name))

    def _namespace(self, namespace: Namespace) -> Namespace:
        endpoints = tuple(self._named(each, "privateEndpointName") for each in namespace.private_endpoints)
        return msgspec.structs.replace(self._named(namespace, "namespaceName"), private_endpoints=endpoints)

    def _topic(self, topic: Topic) -> Topic:
        subscriptions = tuple(self._subscription(topic, each) for each in topic.subscriptions)
        return msgspec.structs.replace(self._named(topic, "topicName"), subscriptions=subscriptions)

    def _subscription(self, topic: Topic, subscription: Subscription) -> Subscription:
        parent = ("topicName", topic.name)
        rules: list[Rule] = [
            self._named(each, "ruleName", parent, ("subscriptionName", subscription.name))
            for each in subscription.rules
        ]
        return msgspec.structs.replace(self._named(subscription, "subscriptionName", parent), rules=tuple(rules))

    def _authorization_rule(self, rule: AuthorizationRule) -> AuthorizationRule:
        parents: list[tuple[str, str]] = []
        if rule.queue:
            parents = [("queueName", rule.queue)]
        elif rule.topic:
            parents = [("topicName", rule.topic)]
        named = self._named(rule, "authorizationRuleName", *parents)
        return msgspec.structs.replace(
            named, queue=self._entity("queueName", rule.queue), topic=self._entity("topicName", rule.topic)
        )

    def _role_assignment(self, assignment: RoleAssignment) -> RoleAssignment:
        path = (("topicName", assignment.topic), ("subscriptionName", assignment.subscription))
        return msgspec.structs.replace(
            assignment,
            queue=self._entity("queueName", assignment.queue),
            topic=self._entity("topicName", assignment.topic),
            subscription=self._names.get(_lower(path), assignment.subscription),
        )

    def _entity(self, field: str, name: str) -> str:
        return self._names.get(_lower(((field, name),)), name)


def _lower(path: tuple[tuple[str, str], ...]) -> _Path:
    return tuple((field, name.lower()) for field, name in path)
