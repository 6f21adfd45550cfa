from __future__ import annotations

import pytest
from dstream_servicebus.entities.first_rule import with_first_rule
from dstream_servicebus.infrastructure.filtered import filtered_subscriptions, unfiltered_at_first
from dstream_stacks.spec import Rule, ServiceBusSpec, Subscription, Topic

from dstream.infra import Step
from dstream.sdk._infrastructure import Operation

SPEC = ServiceBusSpec(
    topics=(
        Topic(
            name="events",
            subscriptions=(
                Subscription(name="all"),
                Subscription(name="eu", rules=(Rule(sql="region = 'eu'"),)),
                Subscription(name="us", rules=(Rule(name="us", sql="region = 'us'"),)),
                Subscription(name="marked", rules=(Rule(sql="1=1", action="SET seen = 1"),)),
            ),
        ),
    ),
)


def step(kind: str, name: str, op: Operation) -> Step:
    return Step(f"urn:pulumi:dev::t::azure-native:servicebus:{kind}::{name}", op)


def test_a_plan_names_new_filtered_subscriptions_of_topics_that_exist() -> None:
    filtered = filtered_subscriptions(SPEC)
    assert filtered == {("events", name) for name in ("eu", "us", "marked")}

    steps = [step("Topic", "events", "same"), step("Subscription", "events/marked", "same")]
    assert unfiltered_at_first(filtered, steps) == ""
    steps += [step("Subscription", f"events/{name}", "create") for name in ("all", "eu")]
    steps += [step("Subscription", "events/us", "replace")]
    assert unfiltered_at_first(filtered, steps).endswith(": events/eu, events/us.")
    assert unfiltered_at_first(filtered, [step("Topic", "events", "create"), *steps[1:]]) == ""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"<LockDuration>PT1M</LockDuration>", b"<MaxDeliveryCount>3</MaxDeliveryCount>"),
        (b"<RequiresSession>true</RequiresSession>", b""),
    ],
)
def test_the_first_rule_is_inserted_where_the_service_expects_it(before: bytes, after: bytes) -> None:
    head, tail = b"<entry><SubscriptionDescription>" + before, after + b"</SubscriptionDescription></entry>"
    sent = with_first_rule(head + tail)

    assert sent.startswith(head + b"<DefaultRuleDescription>")
    assert sent.endswith(b"</DefaultRuleDescription>" + tail)
    assert with_first_rule(sent) == sent


def test_the_first_rule_is_inserted_into_a_subscription_without_settings() -> None:
    sent = with_first_rule(b'<entry><SubscriptionDescription xmlns="sb" /></entry>')

    assert sent.startswith(b'<entry><SubscriptionDescription xmlns="sb"><DefaultRuleDescription>')
    assert sent.endswith(b"</DefaultRuleDescription></SubscriptionDescription></entry>")
