"""A compiled rule: matches messages, and applies the action to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dstream_sandbox.servicebus.broker.descriptions import (
    CorrelationFilter,
    FalseFilter,
    Filter,
    RuleDescription,
    SqlFilter,
    TrueFilter,
)
from dstream_sandbox.servicebus.core import Message
from dstream_sandbox.servicebus.filters.operators import compare
from dstream_sandbox.servicebus.filters.parser import Remove, Set, parse_action, parse_predicate
from dstream_sandbox.servicebus.filters.properties import MessageProperties
from dstream_sandbox.servicebus.filters.rewriting import rewritten

__all__ = ["CompiledRule", "compile_rule"]

_CORRELATION = (
    ("correlation_id", "correlation-id"),
    ("message_id", "message-id"),
    ("to", "to"),
    ("reply_to", "reply-to"),
    ("label", "subject"),
    ("session_id", "group-id"),
    ("reply_to_session_id", "reply-to-group-id"),
    ("content_type", "content-type"),
)


@dataclass(frozen=True, slots=True)
class CompiledRule:
    always: bool
    """Whether every message matches."""
    statements: tuple[Set | Remove, ...]
    condition: Callable[[MessageProperties], object]

    @property
    def has_action(self) -> bool:
        return bool(self.statements)

    def matches(self, properties: MessageProperties) -> bool:
        """Return whether the message matches; an unknown result does not. Raises FilterError."""
        return self.condition(properties) is True

    def apply(self, message: Message) -> Message:
        """Return a copy with the action applied. Raises FilterError."""
        original = MessageProperties(message)
        system, user = dict(original.system), dict(original.user)
        changed = _Changing(system, user)
        for statement in self.statements:
            values = system if statement.target.scope == "sys" else user
            if isinstance(statement, Remove):
                values.pop(statement.target.name, None)
            else:
                values[statement.target.name] = statement.value(changed)
        cleared = dict.fromkeys(original.system.keys() - system.keys())
        return rewritten(message, {**system, **cleared}, user)


def compile_rule(rule: RuleDescription) -> CompiledRule:
    """Compile a rule. Raises FilterSyntaxError."""
    statements = parse_action(rule.action.expression, rule.action.parameters) if rule.action else []
    return CompiledRule(isinstance(rule.filter, TrueFilter), tuple(statements), _condition(rule.filter))


class _Changing(MessageProperties):
    """Properties while an action changes them: each statement sees the changes of the previous ones."""

    def __init__(self, system: dict[str, object], user: dict[str, object]) -> None:
        self._system = system
        self._user = user


def _condition(rule_filter: Filter) -> Callable[[MessageProperties], object]:
    if isinstance(rule_filter, TrueFilter):
        return lambda p: True
    if isinstance(rule_filter, FalseFilter):
        return lambda p: False
    if isinstance(rule_filter, SqlFilter):
        return parse_predicate(rule_filter.expression, rule_filter.parameters)
    return _correlation(rule_filter)


def _correlation(rule_filter: CorrelationFilter) -> Callable[[MessageProperties], object]:
    system = [(name, value) for field, name in _CORRELATION if (value := getattr(rule_filter, field)) is not None]
    user = list(rule_filter.properties.items())

    def matches(p: MessageProperties) -> bool:
        return all(_same(p.system.get(name), value) for name, value in system) and all(
            _same(p.user.get(name), value) for name, value in user
        )

    return matches


def _same(actual: object, wanted: object) -> bool:
    return compare("=", actual, wanted) is True
