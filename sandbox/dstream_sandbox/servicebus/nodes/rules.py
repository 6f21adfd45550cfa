"""Rules of subscriptions in $management: maps in add-rule, described lists in enumerate-rules.

Format: Microsoft, "AMQP 1.0 in Azure Service Bus: request-response-based operations", rule operations; descriptor codes
as @azure/service-bus expects them.
"""

from __future__ import annotations

from collections.abc import Mapping

from dstream_sandbox.servicebus.amqp.values import Described, Int, Timestamp, ULong
from dstream_sandbox.servicebus.broker.descriptions import (
    CorrelationFilter,
    FalseFilter,
    Filter,
    RuleDescription,
    SqlAction,
    SqlFilter,
    TrueFilter,
)
from dstream_sandbox.servicebus.core import AmqpError

__all__ = ["parse_rule", "rule_value"]

_RULE = ULong(0x0000013700000004)
_EMPTY_ACTION = ULong(0x0000013700000005)
_SQL_ACTION = ULong(0x0000013700000006)
_SQL_FILTER = ULong(0x000001370000006)
_TRUE_FILTER = ULong(0x000001370000007)
_FALSE_FILTER = ULong(0x000001370000008)
_CORRELATION_FILTER = ULong(0x000001370000009)
_COMPATIBILITY_LEVEL = Int(20)


def parse_rule(name: str, description: Mapping[object, object]) -> RuleDescription:
    """Return the rule. Raises AmqpError if the description has no supported filter."""
    action = description.get("sql-rule-action")
    expression = action.get("expression") if isinstance(action, dict) else None
    return RuleDescription(
        name=name,
        filter=_parse_filter(description),
        action=SqlAction(expression) if isinstance(expression, str) and expression else None,
    )


def rule_value(rule: RuleDescription) -> Described:
    action = Described(_SQL_ACTION, [rule.action.expression, _COMPATIBILITY_LEVEL]) if rule.action else None
    created_at = Timestamp(int(rule.created_at * 1000))
    fields = [_filter_value(rule.filter), action or Described(_EMPTY_ACTION, []), rule.name, created_at]
    return Described(_RULE, fields)


def _parse_filter(description: Mapping[object, object]) -> Filter:
    sql, correlation = description.get("sql-filter"), description.get("correlation-filter")
    if isinstance(sql, dict) and isinstance(sql.get("expression"), str):
        return SqlFilter(sql["expression"])
    if isinstance(correlation, dict):
        properties = correlation.get("properties")
        return CorrelationFilter(
            **{field: _text(correlation.get(key)) for key, field in _CORRELATION_FIELDS.items()},
            properties={str(k): v for k, v in properties.items()} if isinstance(properties, dict) else {},
        )
    if "true-filter" in description:
        return TrueFilter()
    if "false-filter" in description:
        return FalseFilter()
    raise AmqpError("com.microsoft:argument-error", "The rule has no supported filter.")


def _filter_value(rule_filter: Filter) -> Described:
    if isinstance(rule_filter, SqlFilter):
        return Described(_SQL_FILTER, [rule_filter.expression, _COMPATIBILITY_LEVEL])
    if isinstance(rule_filter, TrueFilter):
        return Described(_TRUE_FILTER, [])
    if isinstance(rule_filter, FalseFilter):
        return Described(_FALSE_FILTER, [])
    fields = [getattr(rule_filter, field) for field in _CORRELATION_FIELDS.values()]
    return Described(_CORRELATION_FILTER, [*fields, dict(rule_filter.properties)])


def _text(value: object) -> str | None:
    return None if value is None else str(value)


# Keys in the map of add-rule, in the order of the described list, and the fields of CorrelationFilter.
_CORRELATION_FIELDS = {
    "correlation-id": "correlation_id",
    "message-id": "message_id",
    "to": "to",
    "reply-to": "reply_to",
    "label": "label",
    "session-id": "session_id",
    "reply-to-session-id": "reply_to_session_id",
    "content-type": "content_type",
}
