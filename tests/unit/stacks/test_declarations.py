from __future__ import annotations

import pytest
from dstream_stacks.declarations import declarations, rules_of
from dstream_stacks.roles import assignment_name
from dstream_stacks.spec import AuthorizationRule, Queue, RoleAssignment, Rule, ServiceBusSpec, Subscription, Topic

PRINCIPAL = "11111111-2222-3333-4444-555555555555"
SPEC = ServiceBusSpec(
    queues=(Queue(name="orders", forward_to="all"), Queue(name="all")),
    topics=(Topic(name="events", subscriptions=(Subscription(name="audit", rules=(Rule(name="eu", sql="x=1"),)),)),),
    authorization_rules=(
        AuthorizationRule(name="sender", rights=("Send",)),
        AuthorizationRule(name="reader", rights=("Listen",), queue="orders"),
        AuthorizationRule(name="reader", rights=("Listen",), topic="events"),
    ),
    role_assignments=(
        RoleAssignment(role="Sender", principal_id=PRINCIPAL, queue="orders"),
        RoleAssignment(role="Receiver", principal_id=PRINCIPAL, topic="events", subscription="audit"),
    ),
)


def test_resources_have_their_entity_names_and_follow_their_dependencies() -> None:
    assert [(each.kind, each.name) for each in declarations(SPEC)] == [
        ("Topic", "events"),
        ("Queue", "all"),
        ("Queue", "orders"),
        ("Subscription", "events/audit"),
        ("Rule", "events/audit/eu"),
        ("DefaultRule", "events/audit/$Default"),
        ("NamespaceAuthorizationRule", "sender"),
        ("QueueAuthorizationRule", "orders/reader"),
        ("TopicAuthorizationRule", "events/reader"),
        ("RoleAssignment", f"orders/Sender/{PRINCIPAL}"),
        ("RoleAssignment", f"events/audit/Receiver/{PRINCIPAL}"),
    ]


@pytest.mark.parametrize(
    ("rules", "default"),
    [
        ((), "1=1"),
        ((Rule(name="eu", sql="x=1"),), "1=0"),
        ((Rule(sql="region = 'eu'"), Rule(name="us", sql="x=2")), "region = 'eu'"),
    ],
)
def test_every_subscription_declares_its_default_rule_after_the_others(rules: tuple[Rule, ...], default: str) -> None:
    *named, last = rules_of(Subscription(name="s", rules=rules))

    assert (last.name, last.sql) == ("$Default", default)
    assert named == [rule for rule in rules if rule.name != "$Default"]


def test_queues_that_forward_in_a_cycle_are_named() -> None:
    cycle = (
        Queue(name="a", forward_to="b"),
        Queue(name="b", forward_dead_lettered_to="c"),
        Queue(name="c", forward_to="a"),
    )

    with pytest.raises(ValueError, match="a -> b -> c -> a"):
        list(declarations(ServiceBusSpec(queues=cycle)))


def test_a_role_assignment_has_the_same_guid_in_every_run_and_its_own_for_every_grant() -> None:
    sender = RoleAssignment(role="Sender", principal_id=PRINCIPAL, queue="orders")
    others = (
        RoleAssignment(role="Receiver", principal_id=PRINCIPAL, queue="orders"),
        RoleAssignment(role="Sender", principal_id=PRINCIPAL, queue="all"),
        RoleAssignment(role="Sender", principal_id=PRINCIPAL.replace("1", "2"), queue="orders"),
        RoleAssignment(role="Sender", principal_id=PRINCIPAL, topic="orders"),
    )

    assert assignment_name(SPEC, sender) == "d44636e8-de4a-5a5b-92ac-ef1b588bb9b7"
    assert len({assignment_name(SPEC, each) for each in (sender, *others)}) == 5


def test_a_role_assignment_is_retained_with_its_entity() -> None:
    spec = ServiceBusSpec(
        queues=(Queue(name="orders", retain_on_delete=True),),
        role_assignments=(RoleAssignment(role="Sender", principal_id=PRINCIPAL, queue="orders"),),
    )

    assert all(each.kept.retain_on_delete for each in declarations(spec))
