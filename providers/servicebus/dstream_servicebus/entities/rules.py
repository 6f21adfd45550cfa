"""Rules of subscriptions as resources.

With each subscription, the service creates a rule `$Default` that matches everything. So creating a Rule of that name
changes the existing one, and deleting it restores the original: without `$Default`, the subscription would match
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.servicebus.management import (
    CorrelationRuleFilter,
    RuleProperties,
    ServiceBusAdministrationClient,
    SqlRuleAction,
    SqlRuleFilter,
    TrueRuleFilter,
)

from dstream.infra.attached.types import Actual, Property, Values
from dstream_servicebus.entities.conflicts import retry_conflicts
from dstream_servicebus.entities.errors import already_exists, raise_resource_failed
from dstream_servicebus.entities.ids import RULE_ID
from dstream_servicebus.entities.settings import DEFAULT_RULE, MATCH_ALL, RULE

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


class Rules:
    """Implements ResourceType."""

    properties: Mapping[str, Property] = RULE

    def __init__(self, administration: Callable[[], ServiceBusAdministrationClient]) -> None:
        self._administration = administration

    def problems(self, inputs: Values) -> Mapping[str, str]:
        if "sqlFilter" in inputs and "correlationFilter" in inputs:
            return {"correlationFilter": "conflicts with sqlFilter: a rule has one filter"}
        if inputs.get("correlationFilter") == {}:
            return {"correlationFilter": "needs at least one property to compare"}
        kind = "CorrelationFilter" if "correlationFilter" in inputs else "SqlFilter"
        if inputs.get("filterType", kind) != kind:
            return {"filterType": f"does not match the filter, which is a {kind}"}
        return {}

    def create(self, inputs: Values) -> tuple[str, Actual]:
        resource_id = RULE_ID.id_of(inputs)
        topic, subscription, name = RULE_ID.keys_of(resource_id)
        with raise_resource_failed(resource_id):
            found = self._get(topic, subscription, name) if _is_default(name) else None
            if found is not None:
                return resource_id, self._change(topic, subscription, found, inputs)
            try:
                create = partial(self._administration().create_rule, topic, subscription, name)
                made = retry_conflicts(partial(create, filter=_filter(inputs), action=_action(inputs)))
            except ResourceExistsError as error:
                raise already_exists(resource_id) from error
        return resource_id, _actual((topic, subscription, name), made)

    def read(self, resource_id: str) -> Actual | None:
        keys = RULE_ID.keys_of(resource_id)
        with raise_resource_failed(resource_id):
            found = self._get(*keys)
        return _actual(keys, found) if found is not None else None

    def update(self, resource_id: str, inputs: Values) -> Actual:
        topic, subscription, name = RULE_ID.keys_of(resource_id)
        with raise_resource_failed(resource_id):
            found = self._administration().get_rule(topic, subscription, name)
            return self._change(topic, subscription, found, inputs)

    def delete(self, resource_id: str) -> None:
        topic, subscription, name = RULE_ID.keys_of(resource_id)
        with raise_resource_failed(resource_id):
            if _is_default(name):
                found = self._get(topic, subscription, name)
                if found is not None:
                    self._change(topic, subscription, found, {})
                return
            try:
                retry_conflicts(partial(self._administration().delete_rule, topic, subscription, name))
            except ResourceNotFoundError:
                pass  # already deleted

    def _get(self, topic: str, subscription: str, name: str) -> RuleProperties | None:
        try:
            return self._administration().get_rule(topic, subscription, name)
        except ResourceNotFoundError:
            return None

    def _change(self, topic: str, subscription: str, rule: RuleProperties, inputs: Values) -> Actual:
        keys = (topic, subscription, rule.name)
        before = _actual(keys, rule)
        rule.filter, rule.action = _filter(inputs), _action(inputs)
        after = _actual(keys, rule)
        if after != before:
            retry_conflicts(partial(self._administration().update_rule, topic, subscription, rule))
        return after


def _is_default(name: str) -> bool:
    return name.lower() == DEFAULT_RULE.lower()


def _filter(inputs: Values) -> SqlRuleFilter | CorrelationRuleFilter:
    correlation = inputs.get("correlationFilter")
    if correlation is not None:
        named = {attribute: correlation.get(name) for name, attribute in _CORRELATION.items()}
        return CorrelationRuleFilter(**named, properties=dict(correlation.get("properties", {})))
    expression = (inputs.get("sqlFilter") or {}).get("sqlExpression", MATCH_ALL)
    return TrueRuleFilter() if expression == MATCH_ALL else SqlRuleFilter(expression)


def _action(inputs: Values) -> SqlRuleAction | None:
    action = inputs.get("action")
    return SqlRuleAction(action["sqlExpression"]) if action is not None else None


def _actual(keys: tuple[str, ...], rule: RuleProperties) -> Actual:
    sql = correlation = None
    if isinstance(rule.filter, CorrelationRuleFilter):
        correlation = _correlation(rule.filter)
    elif rule.filter is not None:
        sql = {"sqlExpression": rule.filter.sql_expression or ""}
    settings: dict[str, Any] = {
        **dict(zip(RULE_ID.names, keys, strict=True)),
        "sqlFilter": sql,
        "correlationFilter": correlation,
        "action": {"sqlExpression": rule.action.sql_expression} if rule.action is not None else None,
    }
    return Actual(settings, {"name": keys[-1]})


def _correlation(found: CorrelationRuleFilter) -> Values:
    named = {name: getattr(found, attribute) for name, attribute in _CORRELATION.items()}
    properties = {name: _plain(value) for name, value in (found.properties or {}).items()}
    return {name: value for name, value in {**named, "properties": properties}.items() if value}


def _plain(value: Any) -> Any:
    """Convert dates and time spans to text."""
    return value if isinstance(value, str | int | float | bool) else str(value)
