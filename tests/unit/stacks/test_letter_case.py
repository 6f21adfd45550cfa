"""A change of letter case alone keeps the recorded names."""

from __future__ import annotations

import pytest
from dstream_stacks.declarations import declarations, forwarding_order
from dstream_stacks.letter_case import with_recorded_case
from dstream_stacks.references import References
from dstream_stacks.spec import (
    AuthorizationRule,
    Namespace,
    Queue,
    ResourceGroup,
    RoleAssignment,
    Rule,
    ServiceBusSpec,
    Subscription,
    Topic,
)

PLACE = {"resourceGroupName": "rg-retail", "namespaceName": "sb-retail"}


def spec(*, upper: bool) -> ServiceBusSpec:
    def name(text: str) -> str:
        return text.upper() if upper else text

    return ServiceBusSpec(
        resource_group=ResourceGroup(name=name("rg-retail")),
        namespace=Namespace(name=name("sb-retail")),
        queues=(Queue(name=name("orders")),),
        topics=tuple(
            Topic(
                name=name(topic),
                subscriptions=(Subscription(name=name("audit"), rules=(Rule(name=name("eu"), sql="1=1"),)),),
            )
            for topic in ("events", "others")
        ),
        authorization_rules=(
            AuthorizationRule(name=name("send"), rights=("Send",)),
            AuthorizationRule(name=name("send"), rights=("Send",), queue=name("orders")),
        ),
        publisher=AuthorizationRule(name=name("send"), rights=("Send",), queue=name("orders")),
        role_assignments=(
            RoleAssignment(role="Sender", principal_id="p", queue=name("orders")),
            RoleAssignment(role="Receiver", principal_id="p", topic=name("events"), subscription=name("audit")),
        ),
    )


def recorded(made: ServiceBusSpec) -> list[dict[str, str]]:
    """The inputs that name each resource."""
    return [{**PLACE, **each.path} for each in declarations(made)]


def test_names_in_another_case_are_spelled_as_recorded() -> None:
    assert with_recorded_case(spec(upper=True), recorded(spec(upper=False))) == spec(upper=False)


def test_names_without_a_record_keep_their_spelling() -> None:
    assert with_recorded_case(spec(upper=True), []) == spec(upper=True)


def test_the_same_name_below_another_parent_has_its_own_spelling() -> None:
    inputs = [
        {"topicName": "events", "subscriptionName": "Audit"},
        {"topicName": "others", "subscriptionName": "audit"},
    ]
    spelled = with_recorded_case(spec(upper=False), inputs)
    assert [each.subscriptions[0].name for each in spelled.topics] == ["Audit", "audit"]


def test_a_forwarding_target_is_found_in_any_case() -> None:
    queues = (Queue(name="orders", forward_to="DEAD"), Queue(name="dead"))
    assert [each.name for each in forwarding_order(queues)] == ["dead", "orders"]
    with pytest.raises(ValueError, match="dead -> orders -> dead"):
        forwarding_order((Queue(name="dead", forward_to="Orders"), Queue(name="orders", forward_to="Dead")))
    references = References()
    references.add(next(iter(declarations(ServiceBusSpec(queues=(Queue(name="dead"),))))), "an output")
    assert references.forwarding({"forwardTo": "DEAD"}) == {"forwardTo": "an output"}
