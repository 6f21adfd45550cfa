from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from dstream_stacks.spec import (
    AuthorizationRule,
    CorrelationFilter,
    CustomerManagedKey,
    Namespace,
    NetworkRules,
    PrivateEndpoint,
    Queue,
    ResourceGroup,
    RoleAssignment,
    Rule,
    ServiceBusSpec,
    Subscription,
    Topic,
    as_document,
    from_document,
)
from hypothesis import given
from hypothesis import strategies as st

names = st.text("abc-/.1", min_size=1, max_size=8)
strings = st.dictionaries(names, names, max_size=2)


def specs_of(kind: type[Any], **given_: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Values of the class: each field by its type, or by its strategy in `given_`."""
    fields = {
        field.name: given_[field.name] if field.name in given_ else _by_type(field)
        for field in msgspec.structs.fields(kind)
    }
    return st.fixed_dictionaries(fields).map(lambda values: kind(**values))


def _by_type(field: msgspec.structs.FieldInfo) -> st.SearchStrategy[Any]:
    text = str(field.type)
    if "dict[" in text:
        return strings
    if field.type is str:
        return names
    if "tuple[str" in text:
        return st.lists(names, max_size=2).map(tuple)
    if field.type is bool:
        return st.booleans()
    choices = {
        "bool |": st.booleans(),
        "int |": st.integers(1, 100_000),
        "float |": st.floats(1, 1e7, allow_nan=False),
        "str |": names,
        "Basic": st.sampled_from(["Basic", "Standard", "Premium"]),
        "1.0": st.sampled_from(["1.0", "1.2"]),
        "SecuredByPerimeter": st.sampled_from(["Enabled", "Disabled"]),
    }
    return next(st.none() | strategy for key, strategy in choices.items() if key in text)


correlations = specs_of(CorrelationFilter, properties=strings)
rules = specs_of(Rule, correlation=st.none() | correlations)
subscriptions = specs_of(Subscription, rules=st.lists(rules, max_size=2).map(tuple))
authorization_rules = specs_of(AuthorizationRule, rights=st.sampled_from([("Send",), ("Listen", "Send")]))
specs = specs_of(
    ServiceBusSpec,
    mode=st.sampled_from(["arm", "entities"]),
    resource_group=st.none() | specs_of(ResourceGroup),
    namespace=st.none()
    | specs_of(
        Namespace,
        customer_managed_key=st.none() | specs_of(CustomerManagedKey),
        network_rules=st.none() | specs_of(NetworkRules),
        private_endpoints=st.lists(specs_of(PrivateEndpoint), max_size=2).map(tuple),
    ),
    queues=st.lists(specs_of(Queue), max_size=2).map(tuple),
    topics=st.lists(specs_of(Topic, subscriptions=st.lists(subscriptions, max_size=2).map(tuple)), max_size=2).map(
        tuple
    ),
    authorization_rules=st.lists(authorization_rules, max_size=2).map(tuple),
    publisher=st.none() | authorization_rules,
    role_assignments=st.lists(
        specs_of(
            RoleAssignment,
            role=st.sampled_from(["Sender", "Receiver"]),
            principal_type=st.sampled_from(["ServicePrincipal", "User"]),
        ),
        max_size=2,
    ).map(tuple),
    tags=strings,
)


@given(specs)
def test_a_spec_survives_a_round_trip_through_its_document(spec: ServiceBusSpec) -> None:
    assert from_document(json.loads(json.dumps(as_document(spec)))) == spec


def test_a_document_contains_only_non_default_values() -> None:
    assert as_document(ServiceBusSpec(queues=(Queue(name="orders", sessions=True),))) == {
        "queues": [{"name": "orders", "sessions": True}]
    }


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ({"queues": [{"name": "q", "sesions": True}]}, "sesions"),
        ({"queues": [{"sessions": True}]}, "name"),
        ({"namespace": {"name": "n", "tier": "Gold"}}, "Gold"),
    ],
)
def test_an_invalid_document_is_refused_with_the_place(document: dict[str, Any], where: str) -> None:
    with pytest.raises(ValueError, match=where):
        from_document(document)
