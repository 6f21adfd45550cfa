"""Rules of subscriptions, including the `$Default` rule that each subscription starts with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from dstream_sandbox.azure.cloud import Cloud, Found
from dstream_sandbox.azure.entities import entities_at, service_errors
from dstream_sandbox.azure.errors import already_exists, parent_not_found
from dstream_sandbox.azure.ids import Place
from dstream_sandbox.servicebus.broker.descriptions import (
    CorrelationFilter,
    FalseFilter,
    Filter,
    RuleDescription,
    SqlAction,
    SqlFilter,
    TrueFilter,
)
from dstream_sandbox.servicebus.broker.namespace import SubscriptionNode

__all__ = ["DefaultRules", "Rules"]

_CORRELATION = {
    "contentType": "content_type",
    "correlationId": "correlation_id",
    "label": "label",
    "messageId": "message_id",
    "replyTo": "reply_to",
    "replyToSessionId": "reply_to_session_id",
    "sessionId": "session_id",
    "to": "to",
}
_SQL: dict[str, object] = {"compatibilityLevel": 20, "requiresPreprocessing": True}
_ALL, _NONE = "1=1", "1=0"


class Rules:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def read(self, place: Place) -> Found | None:
        node = self._subscription(place)
        rule = node and node.rules.get(place.name.lower())
        return Found(_settings(rule.description), self._outputs(place)) if rule else None

    async def create(self, place: Place, inputs: Mapping[str, object]) -> None:
        self._parent(place)
        if self.read(place):
            raise already_exists(place.id)
        await self._create(place, inputs)

    async def update(self, place: Place, inputs: Mapping[str, object]) -> None:
        """ARM's PUT: a deleted rule is re-created."""
        self._parent(place)
        if self.read(place) is None:
            await self._create(place, inputs)
            return
        with service_errors(place):
            entities = self._cloud.running(place).broker.entities
            await entities.update_rule(*_subscription_of(place), _rule(place.name, inputs))

    async def delete(self, place: Place) -> None:
        if self.read(place):
            with service_errors(place):
                await self._cloud.running(place).broker.entities.delete_rule(*_subscription_of(place), place.name)

    async def _create(self, place: Place, inputs: Mapping[str, object]) -> None:
        with service_errors(place):
            entities = self._cloud.running(place).broker.entities
            await entities.create_rule(*_subscription_of(place), _rule(place.name, inputs))

    def _subscription(self, place: Place) -> SubscriptionNode | None:
        entities = entities_at(self._cloud, place)
        topic, name = _subscription_of(place)
        node = entities and entities.namespace.topics.get(topic.lower())
        return node.subscriptions.get(name.lower()) if node else None

    def _parent(self, place: Place) -> None:
        self._cloud.namespace(place)
        if self._subscription(place) is None:
            raise parent_not_found(place.type.arm_type, place.parent_id)

    def _outputs(self, place: Place) -> dict[str, object]:
        return {"location": self._cloud.namespace(place).settings.get("location")}


class DefaultRules(Rules):
    """`$Default`, which Azure creates with the subscription. azure-native never checks whether it exists, so creating
    it changes it. Deleting it is final: without other rules, the subscription then receives nothing
    (custom_servicebus_defaultrule.go, Singleton)."""

    async def create(self, place: Place, inputs: Mapping[str, object]) -> None:
        await self.update(place, inputs)


def _subscription_of(place: Place) -> tuple[str, str]:
    return place.names["topicName"], place.names["subscriptionName"]


def _rule(name: str, inputs: Mapping[str, object]) -> RuleDescription:
    action = _object(inputs.get("action")).get("sqlExpression")
    return RuleDescription(name, _filter(inputs), SqlAction(str(action)) if action else None)


def _filter(inputs: Mapping[str, object]) -> Filter:
    if inputs.get("filterType") == "CorrelationFilter":
        given = _object(inputs.get("correlationFilter"))
        named = {attribute: cast("str | None", given.get(name)) for name, attribute in _CORRELATION.items()}
        return CorrelationFilter(**named, properties=dict(_object(given.get("properties"))))
    expression = str(_object(inputs.get("sqlFilter")).get("sqlExpression") or _ALL)
    if expression == _ALL:
        return TrueFilter()
    return FalseFilter() if expression == _NONE else SqlFilter(expression)


def _settings(rule: RuleDescription) -> dict[str, object]:
    settings: dict[str, object] = {}
    if rule.action:
        settings["action"] = {**_SQL, "sqlExpression": rule.action.expression}
    if isinstance(rule.filter, CorrelationFilter):
        found = {name: getattr(rule.filter, attribute) for name, attribute in _CORRELATION.items()}
        properties = {name: str(value) for name, value in rule.filter.properties.items()}
        correlation = {name: value for name, value in found.items() if value is not None}
        if properties:
            correlation["properties"] = properties
        return {**settings, "filterType": "CorrelationFilter", "correlationFilter": correlation}
    expression = _ALL if isinstance(rule.filter, TrueFilter) else _NONE
    if isinstance(rule.filter, SqlFilter):
        expression = rule.filter.expression
    return {**settings, "filterType": "SqlFilter", "sqlFilter": {**_SQL, "sqlExpression": expression}}


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
