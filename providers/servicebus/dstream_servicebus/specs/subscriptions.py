"""The subscriptions of the task's topics, with their rules. Pure."""

from __future__ import annotations

import re

import msgspec
from dstream_stacks.spec import DEFAULT_RULE, CorrelationFilter, Rule, Subscription

from dstream.sdk.errors import ConfigError
from dstream_servicebus.config import Config
from dstream_servicebus.settings import limits
from dstream_servicebus.settings.infrastructure import CorrelationSettings, RuleSettings, SubscriptionSettings
from dstream_servicebus.specs.entities import subscription_fields

_EVERYTHING = "1=1"
_CONSTANT = re.compile(r"1\s*=\s*([01])")


def subscription_specs(config: Config, topic: str) -> tuple[Subscription, ...]:
    """Return the subscriptions of this topic. Raises ConfigError."""
    chosen = [
        (settings, f"subscriptions[{index}]")
        for index, settings in enumerate(config.subscriptions)
        if not settings.topics or topic in settings.topics
    ]
    limits.check_different(((settings.name, f"{where}.name") for settings, where in chosen), "subscriptions")
    return tuple(_subscription(config, settings, where) for settings, where in chosen)


def _subscription(config: Config, settings: SubscriptionSettings, where: str) -> Subscription:
    limits.check_short_name(settings.name, "subscription", f"{where}.name")
    return Subscription(
        name=settings.name, rules=_rules(settings, where), **subscription_fields(config, settings, where)
    )


def _rules(settings: SubscriptionSettings, where: str) -> tuple[Rule, ...]:
    rules = [_rule(rule, f"{where}.rules[{index}]") for index, rule in enumerate(settings.rules)]
    if settings.filter is not None or settings.correlation is not None or settings.action is not None:
        rules.insert(0, _default_rule(settings, where))
    names = [(rule.name, f"{where}.rules") for rule in rules]
    limits.check_different(names, "rules")
    return tuple(rules)


def _default_rule(settings: SubscriptionSettings, where: str) -> Rule:
    _check_one_filter(settings, where)
    return Rule(
        sql=_EVERYTHING if settings.correlation is None and settings.filter is None else _sql(settings.filter),
        correlation=_correlation(settings.correlation),
        action=_sql(settings.action),
    )


def _rule(settings: RuleSettings, where: str) -> Rule:
    if settings.name != DEFAULT_RULE:
        limits.check_short_name(settings.name, "rule", f"{where}.name")
    _check_one_filter(settings, where)
    if settings.filter is None and settings.correlation is None:
        raise ConfigError(
            "servicebus.bad_rule",
            f'the rule "{settings.name}" has neither filter nor correlation',
            hint='Set one of them; filter = "1=1" matches every message.',
            config_path=where,
        )
    return Rule(
        name=settings.name,
        sql=_sql(settings.filter),
        correlation=_correlation(settings.correlation),
        action=_sql(settings.action),
    )


def _sql(text: str | None) -> str | None:
    """Return the text in the form that the service certainly returns: without surrounding white space, such as a
    heredoc's last line break, and `1=1` and `1=0` as in the service's own filters. Otherwise the plan could show the
    same change forever.
    """
    if text is None:
        return None
    constant = _CONSTANT.fullmatch(text.strip())
    return f"1={constant[1]}" if constant else text.strip()


def _check_one_filter(settings: RuleSettings | SubscriptionSettings, where: str) -> None:
    if settings.filter is not None and settings.correlation is not None:
        raise ConfigError(
            "servicebus.bad_rule",
            "filter and correlation are both set; a rule can have only one",
            hint="Use a second rule for the other.",
            config_path=f"{where}.correlation",
        )


def _correlation(settings: CorrelationSettings | None) -> CorrelationFilter | None:
    return None if settings is None else CorrelationFilter(**msgspec.structs.asdict(settings))
