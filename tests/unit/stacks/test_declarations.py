from __future__ import annotations

import pytest
from dstream_stacks.declarations import declarations, rules_of
from dstream_stacks.spec import AuthorizationRule, Queue, Rule, ServiceBusSpec, Subscription, Topic

SPEC = ServiceBusSpec(
    queues=(Queue(name="orders", forward_to="all"), Queue(name="all")),
    topics=(Topic(name="events", subscriptions=(Subscription(name="audit", rules=(Rule(name="eu", sql="x=1"),)),)),),
    authorization_rules=(
        AuthorizationRule(name="sender", rights=("Send",)),
        AuthorizationRule(name="reader", rights=("Listen",), queue="orders"),
        AuthorizationRule(name="reader", rights=("Listen",), topic="events"),
    ),
)


def test_resources_have_their_entity_names_and_follow_their_dependencies() -> None:
    assert [(each.kind, each.name) for each in declarations(SPEC)] == [
        ("Topic", "events"),
        ("Queue", "all"),
        ("Queue", "orders"),
        ("Subscription", "events/audit"),
        ("DefaultRule", "events/audit/$Default"),
        ("Rule", "events/audit/eu"),
        ("NamespaceAuthorizationRule", "sender"),
        ("QueueAuthorizationRule", "orders/reader"),
        ("TopicAuthorizationRule", "events/reader"),
    ]


def test_with_own_rules_the_default_rule_matches_nothing() -> None:
    default, eu = rules_of(SPEC.topics[0].subscriptions[0])

    assert (default.name, default.sql) == ("$Default", "1=0")
    assert eu.name == "eu"


def test_an_own_default_rule_is_kept_and_no_rules_stay_none() -> None:
    default = Rule(sql="region = 'eu'")

    assert rules_of(Subscription(name="s", rules=(default,))) == (default,)
    assert rules_of(Subscription(name="s")) == ()


def test_queues_that_forward_in_a_cycle_are_named() -> None:
    cycle = (
        Queue(name="a", forward_to="b"),
        Queue(name="b", forward_dead_lettered_to="c"),
        Queue(name="c", forward_to="a"),
    )

    with pytest.raises(ValueError, match="a -> b -> c -> a"):
        list(declarations(ServiceBusSpec(queues=cycle)))
