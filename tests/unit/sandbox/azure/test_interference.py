"""Injected errors have Azure's status and text."""

from __future__ import annotations

import asyncio
from typing import get_args

import pytest
from dstream_sandbox.azure.errors import AzureError
from dstream_sandbox.azure.ids import place_of
from dstream_sandbox.azure.interference import Interference
from dstream_sandbox.azure.resource_types import TYPES
from dstream_sandbox.servicebus.counters import Counters
from dstream_sandbox.servicebus.faults import Fault, Faults, Operation

QUEUE = place_of(
    TYPES["azure-native:servicebus:Queue"],
    "s1",
    {"resourceGroupName": "rg", "namespaceName": "ns-one", "queueName": "orders"},
)


async def nothing() -> None:
    pass


def injected(code: str, operation: Operation = "create") -> str:
    faults = Faults()
    faults.add(Fault("azure", operation=operation, code=code))
    with pytest.raises(AzureError) as refused:
        asyncio.run(Interference(faults, Counters()).around(operation, QUEUE, nothing))
    return str(refused.value)


def test_an_unregistered_subscription_is_refused_as_in_azure() -> None:
    assert injected("MissingSubscriptionRegistration").startswith(
        'Status=409 Code="MissingSubscriptionRegistration" Message="The subscription is not registered to use namespace'
        " 'Microsoft.ServiceBus'."
    )


@pytest.mark.parametrize("operation", get_args(Operation))
def test_a_missing_permission_is_named_with_its_action(operation: Operation) -> None:
    assert "perform action 'Microsoft.ServiceBus/namespaces/queues/" in injected("AuthorizationFailed", operation)
