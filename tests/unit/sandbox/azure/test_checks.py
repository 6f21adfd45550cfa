from __future__ import annotations

from dstream_sandbox.azure.checks import AUTONAMED, failures, made_up_name, with_names
from dstream_sandbox.azure.resource_types import TYPES
from dstream_sandbox.azure.values import UNKNOWN

_QUEUE = TYPES["azure-native:servicebus:Queue"]
_URN = "urn:pulumi:dev::shop::azure-native:servicebus:Queue::orders"
_NAMES = {"resourceGroupName": "rg", "namespaceName": "ns-one", "queueName": "orders"}


def test_a_generated_name_depends_on_the_seed() -> None:
    name = made_up_name(_URN, b"seed")
    assert name.startswith("orders")
    assert len(name) == len("orders") + 8
    assert (name == made_up_name(_URN, b"seed"), name == made_up_name(_URN, b"other")) == (True, False)


def test_a_generated_name_is_kept_and_an_explicit_name_wins() -> None:
    first = with_names(_QUEUE, {}, {}, "orders1234abcd")
    assert (first["queueName"], first[AUTONAMED]) == ("orders1234abcd", True)
    assert with_names(_QUEUE, {}, first, "orders00000000") == first
    assert AUTONAMED not in with_names(_QUEUE, {"queueName": "mine"}, first, "orders00000000")


def test_unknown_values_are_accepted() -> None:
    inputs = {**_NAMES, "namespaceName": UNKNOWN, "lockDuration": UNKNOWN, "maxDeliveryCount": UNKNOWN}
    assert list(failures(_QUEUE, inputs)) == []


def test_unknown_properties_and_invalid_values_are_refused_by_name() -> None:
    assert [path for path, _ in failures(_QUEUE, {**_NAMES, "lockDurations": "PT1M"})] == ["lockDurations"]
    assert [path for path, _ in failures(_QUEUE, {**_NAMES, "lockDuration": "one minute"})] == ["lockDuration"]
    assert [path for path, _ in failures(_QUEUE, {**_NAMES, "status": "Asleep"})] == ["status"]
