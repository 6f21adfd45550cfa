"""A plan warns before nobody, or everybody, can connect to the namespace."""

from __future__ import annotations

import pytest
from dstream_servicebus.infrastructure.network_warnings import network_warnings
from dstream_stacks.resource_ids import NAMESPACE, NETWORK_RULE_SET, PRIVATE_ENDPOINT
from dstream_stacks.spec import Namespace, PrivateEndpoint, PublicNetworkAccess, ServiceBusSpec

from dstream.infra import Step
from dstream.sdk._infrastructure import Operation


def step(resource_type: str, op: Operation) -> Step:
    return Step(f"urn:pulumi:dev::orders::{resource_type}::sb-retail", op)


@pytest.mark.parametrize(
    ("access", "has_endpoint", "op", "warns"),
    [
        ("Disabled", False, "create", True),
        ("Disabled", False, "update", True),
        ("Disabled", False, "same", False),
        ("Disabled", True, "create", False),
        ("Enabled", False, "create", False),
        (None, False, "create", False),
    ],
)
def test_closing_a_namespace_without_a_private_endpoint(
    access: PublicNetworkAccess | None, has_endpoint: bool, op: Operation, warns: bool
) -> None:
    endpoints = (PrivateEndpoint(name="pe", subnet="/s"),) if has_endpoint else ()
    namespace = Namespace(name="sb-retail", public_network_access=access, private_endpoints=endpoints)
    found = list(network_warnings(ServiceBusSpec(namespace=namespace), [step(NAMESPACE, op)]))
    assert ["no client can connect to sb-retail" in each for each in found] == [True] * warns


def test_removing_the_last_private_endpoint_of_a_closed_namespace() -> None:
    spec = ServiceBusSpec(namespace=Namespace(name="sb-retail", public_network_access="Disabled"))
    (found,) = network_warnings(spec, [step(NAMESPACE, "same"), step(PRIVATE_ENDPOINT, "delete")])
    assert "no client can connect to sb-retail" in found


@pytest.mark.parametrize(("op", "warns"), [("same", True), ("update", True), ("delete", False), ("replace", False)])
def test_removing_the_network_rules_opens_a_namespace_that_stays(op: Operation, warns: bool) -> None:
    steps = [step(NETWORK_RULE_SET, "delete"), step(NAMESPACE, op)]
    found = list(network_warnings(ServiceBusSpec(namespace=Namespace(name="sb-retail")), steps))
    assert ["every network can connect to sb-retail" in each for each in found] == [True] * warns
