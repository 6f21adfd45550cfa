"""The tables of inputs, also compared with the classes of pulumi_azure_native for the same resources."""

from __future__ import annotations

import inspect
import re
from typing import Any, get_args

import msgspec
import pytest
from dstream_stacks.inputs import (
    Input,
    dns_zone_inputs,
    iso_duration,
    namespace_inputs,
    network_rule_inputs,
    private_endpoint_inputs,
    queue_inputs,
    rule_inputs,
    snake_case,
    subscription_inputs,
    topic_inputs,
)
from dstream_stacks.roles import role_definition_id
from dstream_stacks.spec import Kept, Namespace, NetworkRules, Queue, Subscription, Topic
from hypothesis import given
from hypothesis import strategies as st
from pulumi_azure_native import authorization, resources, servicebus

from tests.unit.stacks import full

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "PT0S"),
        (0.25, "PT0.25S"),
        (30, "PT30S"),
        (600, "PT10M"),
        (3_660, "PT1H1M"),
        (86_400, "P1D"),
        (129_600, "P1DT12H"),
        (604_800, "P7D"),
    ],
)
def test_durations_are_written_like_in_azure(seconds: float, written: str) -> None:
    assert iso_duration(seconds) == written


@given(st.integers(0, 10**12))
def test_a_written_duration_is_exact_to_the_millisecond(milliseconds: int) -> None:
    match = _DURATION.fullmatch(iso_duration(milliseconds / 1000))

    assert match is not None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    assert round((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000) == milliseconds


@pytest.mark.parametrize(
    ("value", "written", "fields"),
    [
        (full.QUEUE, queue_inputs(full.QUEUE), Queue),
        (full.TOPIC, topic_inputs(full.TOPIC), Topic),
        (full.SUBSCRIPTION, subscription_inputs(full.SUBSCRIPTION), Subscription),
        (full.NAMESPACE, namespace_inputs(full.NAMESPACE), Namespace),
    ],
    ids=["queue", "topic", "subscription", "namespace"],
)
def test_every_setting_of_a_spec_reaches_azure(value: Any, written: dict[str, Any], fields: type[Any]) -> None:
    others = {"name", "create", "location", "subscriptions", "rules", "log_analytics_workspace"}
    others |= {"network_rules", "private_endpoints", "defaults"}
    not_settings = {*others, *Kept.__struct_fields__}
    settings = [field.name for field in msgspec.structs.fields(fields) if field.name not in not_settings]
    in_sku = {"tier", "capacity"} & set(settings)
    with_identity = {"customer_managed_key"} & set(settings)

    assert all(getattr(value, name) is not None for name in settings)
    assert len(written) == len(settings) - len(in_sku) + bool(in_sku) + len(with_identity)


def test_unset_settings_are_left_to_the_service() -> None:
    assert queue_inputs(Queue(name="q")) == {}
    assert namespace_inputs(Namespace(name="n")) == {"sku": {"name": "Standard", "tier": "Standard"}}


@pytest.mark.parametrize(
    ("rules", "action"),
    [
        (NetworkRules(ip_rules=("203.0.113.7",)), "Deny"),
        (NetworkRules(subnets=("/s",)), "Deny"),
        (NetworkRules(trusted_services=True), "Allow"),
        (NetworkRules(), "Allow"),
    ],
)
def test_network_rules_deny_others_and_are_sent_completely(rules: NetworkRules, action: str) -> None:
    inputs = network_rule_inputs(rules, None)
    assert inputs["defaultAction"] == action
    assert inputs.keys() == {"defaultAction", "ipRules", "virtualNetworkRules", "trustedServiceAccessEnabled"}


@pytest.mark.parametrize(("access", "sent"), [("Disabled", True), ("Enabled", True), ("SecuredByPerimeter", False)])
def test_network_rules_repeat_the_namespaces_public_network_access(access: str, sent: bool) -> None:
    assert network_rule_inputs(NetworkRules(), access).get("publicNetworkAccess") == (access if sent else None)


def test_a_private_endpoint_has_an_address_and_a_name_in_its_network() -> None:
    inputs = private_endpoint_inputs(full.PRIVATE_ENDPOINT, "westeurope", "/namespace")
    connection = {"name": "pe-sb", "groupIds": ["namespace"], "privateLinkServiceId": "/namespace"}
    assert inputs == {
        "location": "northeurope",
        "subnet": {"id": "/subnet"},
        "privateLinkServiceConnections": [connection],
    }
    zone = {"name": "privatelink-servicebus-windows-net", "privateDnsZoneId": full.PRIVATE_ENDPOINT.dns_zone}
    assert dns_zone_inputs(full.PRIVATE_ENDPOINT) == {"privateDnsZoneConfigs": [zone]}
    elsewhere = msgspec.structs.replace(full.PRIVATE_ENDPOINT, location="")
    assert private_endpoint_inputs(elsewhere, "westeurope", "/namespace")["location"] == "westeurope"


NOT_OFFERED = {
    # azure-native inputs that DStream does not offer, and why
    "enable_express": "an express entity keeps messages in memory and can lose them",
    "status": "for operations, not for provisioning",
    "client_affine_properties": "for JMS clients",
    "is_client_affine": "for JMS clients",
    "duplicate_detection_history_time_window": "for subscriptions: the topic detects duplicates",
    "alternate_name": "for geo-recovery pairs, which are not provisioned",
    "geo_data_replication": "not provisioned",
    "ip_address_type": "not provisioned",
    "platform_capabilities": "not provisioned",
    "condition": "not provisioned",
    "condition_version": "not provisioned",
    "delegated_managed_identity_resource_id": "for identities of other tenants",
    "description": "not provisioned",
    "private_endpoint_connections": "made by private endpoints",
}
PLACE = {"resource_group_name", "namespace_name"}
CASES = {
    # resource: its inputs with every setting, and the program's other inputs
    servicebus.Queue: (queue_inputs(full.QUEUE), {*PLACE, "queue_name"}),
    servicebus.Topic: (topic_inputs(full.TOPIC), {*PLACE, "topic_name"}),
    servicebus.Subscription: (subscription_inputs(full.SUBSCRIPTION), {*PLACE, "topic_name", "subscription_name"}),
    servicebus.Namespace: (namespace_inputs(full.NAMESPACE), {*PLACE, "location", "tags"}),
    servicebus.NamespaceNetworkRuleSet: (network_rule_inputs(full.NETWORK_RULES, "Disabled"), PLACE),
    servicebus.Rule: (
        {**rule_inputs(full.SQL_RULE), **rule_inputs(full.CORRELATION_RULE)},
        {*PLACE, "topic_name", "subscription_name", "rule_name", "filter_type"},
    ),
    servicebus.DefaultRule: (
        {**rule_inputs(full.SQL_RULE), **rule_inputs(full.CORRELATION_RULE)},
        {*PLACE, "topic_name", "subscription_name", "filter_type"},
    ),
    servicebus.NamespaceAuthorizationRule: ({"rights": ["Send"]}, {*PLACE, "authorization_rule_name"}),
    servicebus.QueueAuthorizationRule: ({"rights": ["Send"]}, {*PLACE, "queue_name", "authorization_rule_name"}),
    servicebus.TopicAuthorizationRule: ({"rights": ["Send"]}, {*PLACE, "topic_name", "authorization_rule_name"}),
    authorization.RoleAssignment: (
        {"principalId": "p", "principalType": "ServicePrincipal", "roleDefinitionId": role_definition_id("Sender")},
        {"scope", "role_assignment_name"},
    ),
    resources.ResourceGroup: ({}, {"resource_group_name", "location", "tags", "managed_by"}),
}


@pytest.mark.parametrize("resource", CASES, ids=lambda resource: str(resource.__name__))
def test_the_tables_match_the_azure_native_class(resource: Any) -> None:
    inputs, others = CASES[resource]
    parameters = _parameters(resource)
    ours = {snake_case(name) for name in inputs} | others

    assert ours <= parameters.keys()
    assert parameters.keys() - ours <= NOT_OFFERED.keys()
    assert {name for name, parameter in parameters.items() if parameter.default is parameter.empty} <= ours
    for name, value in inputs.items():
        if isinstance(value, dict):
            continue  # below
        assert _fits(value, parameters[snake_case(name)]), name


@pytest.mark.parametrize(
    ("nested", "inputs", "left_out"),
    [
        (servicebus.SBSkuArgs, namespace_inputs(full.NAMESPACE)["sku"], set()),
        (servicebus.NWRuleSetIpRulesArgs, network_rule_inputs(full.NETWORK_RULES, None)["ipRules"][0], set()),
        (
            servicebus.SqlFilterArgs,
            rule_inputs(full.SQL_RULE)["sqlFilter"],
            {"compatibility_level", "requires_preprocessing"},
        ),
        (
            servicebus.ActionArgs,
            rule_inputs(full.SQL_RULE)["action"],
            {"compatibility_level", "requires_preprocessing"},
        ),
        (
            servicebus.CorrelationFilterArgs,
            rule_inputs(full.CORRELATION_RULE)["correlationFilter"],
            {"requires_preprocessing"},
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_nested_values_match_the_azure_native_class(nested: Any, inputs: dict[str, Any], left_out: set[str]) -> None:
    parameters = _signature(nested)

    assert parameters.keys() - {snake_case(name) for name in inputs} == left_out
    assert all(_fits(value, parameters[snake_case(name)]) for name, value in inputs.items())


def test_no_two_settings_have_the_same_name_in_azure() -> None:
    from dstream_stacks import inputs

    for table in (inputs.QUEUE, inputs.TOPIC, inputs.SUBSCRIPTION, inputs.NAMESPACE, inputs.CORRELATION_FILTER):
        assert all(isinstance(each, Input) for each in table.values())
        assert len({each.name for each in table.values()}) == len(table)


def _parameters(resource: Any) -> dict[str, inspect.Parameter]:
    module = inspect.getmodule(resource)
    return _signature(getattr(module, f"{resource.__name__}Args"))


def _signature(args: Any) -> dict[str, inspect.Parameter]:
    parameters = dict(inspect.signature(args.__init__).parameters)
    return {name: parameter for name, parameter in parameters.items() if not name.startswith("__")}


def _fits(value: Any, parameter: inspect.Parameter) -> bool:
    """Whether the value has the plain type, which comes first in `Union[bool, NoneType, Awaitable[...], ...]`."""
    plain = get_args(parameter.annotation)[0]
    origin = getattr(plain, "__origin__", plain)
    if not isinstance(origin, type):
        return isinstance(value, str)  # an enum by its forward reference
    return isinstance(value, (int, float) if origin is float else origin) and type(value) is not (
        bool if origin is int else None
    )
