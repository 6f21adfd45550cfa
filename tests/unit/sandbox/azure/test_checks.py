from __future__ import annotations

from dstream_sandbox.azure.checks import AUTONAMED, failures, made_up_name, with_names
from dstream_sandbox.azure.resource_types import TYPES
from dstream_sandbox.azure.values import UNKNOWN

_QUEUE = TYPES["azure-native:servicebus:Queue"]
_URN = "urn:pulumi:dev::shop::azure-native:servicebus:Queue::orders"
_NAMES = {"resourceGroupName": "rg", "namespaceName": "ns-one", "queueName": "orders"}


def test_a_made_up_name_is_the_same_for_the_same_seed() -> None:
    name = made_up_name(_URN, b"seed")
    assert name.startswith("orders")
    assert len(name) == len("orders") + 8
    assert (name == made_up_name(_URN, b"seed"), name == made_up_name(_URN, b"other")) == (True, False)


def test_a_made_up_name_is_kept_and_a_given_one_wins() -> None:
    first = with_names(_QUEUE, {}, {}, "orders1234abcd")
    assert (first["queueName"], first[AUTONAMED]) == ("orders1234abcd", True)
    assert with_names(_QUEUE, {}, first, "orders00000000") == first
    assert AUTONAMED not in with_names(_QUEUE, {"queueName": "mine"}, first, "orders00000000")


def test_what_is_unknown_yet_is_not_refused() -> None:
    inputs = {**_NAMES, "namespaceName": UNKNOWN, "lockDuration": UNKNOWN, "maxDeliveryCount": UNKNOWN}
    assert list(failures(_QUEUE, inputs)) == []


def test_what_nobody_knows_is_refused_by_name() -> None:
    assert [path for path, _ in failures(_QUEUE, {**_NAMES, "lockDurations": "PT1M"})] == ["lockDurations"]
    assert [path for path, _ in failures(_QUEUE, {**_NAMES, "lockDuration": "one minute"})] == ["lockDuration"]
    assert [path for path, _ in failures(_QUEUE, {**_NAMES, "status": "Asleep"})] == ["status"]
