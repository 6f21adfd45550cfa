"""A rule as the broker uses it: does this message match, and what does the action make of it."""

from __future__ import annotations

from dstream_sandbox.servicebus.broker.descriptions import FalseFilter, RuleDescription, TrueFilter
from dstream_sandbox.servicebus.core import Message

__all__ = ["CompiledRule", "compile_rule"]


class CompiledRule:
    def __init__(self, rule: RuleDescription) -> None:
        self.always = isinstance(rule.filter, TrueFilter)
        self.has_action = rule.action is not None
        self.never = isinstance(rule.filter, FalseFilter)

    def matches(self, message: Message) -> bool:
        return self.always

    def apply(self, message: Message) -> Message:
        return message


def compile_rule(rule: RuleDescription) -> CompiledRule:
    return CompiledRule(rule)
