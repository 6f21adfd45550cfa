"""What disturbs the engine's requests: injected faults, each other, and rules that cannot be read yet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal

from dstream_sandbox.azure.errors import AzureError
from dstream_sandbox.azure.ids import Place
from dstream_sandbox.servicebus.counters import Counters
from dstream_sandbox.servicebus.faults import Faults, Operation

__all__ = ["Interference"]

_STATUS = {
    "QuotaExceeded": 403,
    "AuthorizationFailed": 403,
    "TooManyRequests": 429,
    "InternalServerError": 500,
    "PrincipalNotFound": 400,
    "MissingSubscriptionRegistration": 409,
}
_ACTIONS: dict[Operation, str] = {
    "create": "write",
    "update": "write",
    "read": "read",
    "delete": "delete",
    "list_keys": "listKeys/action",
}
_CLIENT = "00000000-0000-0000-0000-000000000000"
_WORDS = {
    "QuotaExceeded": "The operation could not be completed as it results in exceeding approved quota.",
    "AuthorizationFailed": (
        f"The client '{_CLIENT}' with object id '{_CLIENT}' does not have authorization to perform action"
        " '{action}' over scope '{id}' or the scope is invalid. If access was recently granted, please refresh your"
        " credentials."
    ),
    "PrincipalNotFound": (
        f"Principal does not exist in the directory {_CLIENT}. Check that you have the correct principal ID. If you are"
        " creating this principal and then immediately assigning a role, this error might be related to a replication"
        " delay. In this case, set the role assignment principalType property to a value, such as ServicePrincipal,"
        " User, or Group. See https://aka.ms/docs-principaltype"
    ),
    "MissingSubscriptionRegistration": (
        "The subscription is not registered to use namespace '{provider}'. See https://aka.ms/rps-not-found for how to"
        " register subscriptions."
    ),
    "TooManyRequests": "The request is being throttled as the limit has been reached for operation type - Write.",
}
"""Sources: "Resolve errors for resource provider registration", "Troubleshoot Azure RBAC"; GitHub issues that quote the
texts, such as Commercial-Marketplace-SaaS-Accelerator 852 (MissingSubscriptionRegistration, 409).
"""


class Interference:
    def __init__(self, faults: Faults, counters: Counters) -> None:
        self._faults = faults
        self._counters = counters
        self._topics: dict[tuple[str, str], asyncio.Lock] = {}
        self._hidden_until: dict[str, float] = {}

    async def around(self, operation: Operation, place: Place, act: Callable[[], Awaitable[None]]) -> None:
        """Count and run the request, with the injected faults before and after it. Raises AzureError."""
        self._counters.azure_requests[operation][place.type.token] += 1
        async with self._alone(operation, place):
            await self._strike(operation, place, "before")
            await act()
            await self._strike(operation, place, "after")

    def created(self, place: Place) -> None:
        self._counters.azure_creates[place.id.lower()] += 1

    def default_rule_changed(self, place: Place) -> None:
        """Azure cannot return a `$Default` rule for minutes after its filter has changed (pulumi-azure-native#4489).
        Here it can, unless there is a `hide_rule` fault."""
        fault = self._faults.strike("hide_rule", place.entity_path)
        if fault is not None:
            self._hidden_until[place.id.lower()] = time.monotonic() + fault.seconds

    def is_hidden(self, place: Place) -> bool:
        return time.monotonic() < self._hidden_until.get(place.id.lower(), 0.0)

    @asynccontextmanager
    async def _alone(self, operation: Operation, place: Place) -> AsyncIterator[None]:
        """Wait for another change of the topic's subscriptions and rules. Azure answers 429, "SubCode=40901. Another
        conflicting operation is in progress" (Microsoft, "Service Bus Resource Manager exceptions"), and azure-native
        retries after 20 s (client_azcore.go); the sandbox counts this and does not wait longer than necessary."""
        if operation == "read" or "subscriptionName" not in place.names:
            yield
            return
        topic = self._topics.setdefault((place.namespace.lower(), place.names["topicName"].lower()), asyncio.Lock())
        self._counters.azure_conflicts += topic.locked()
        async with topic:
            yield

    async def _strike(self, operation: Operation, place: Place, when: Literal["before", "after"]) -> None:
        fault = self._faults.strike_azure(operation, place.entity_path, when)
        if fault is None:
            return
        if fault.seconds:
            await asyncio.sleep(fault.seconds)
        if fault.code:
            words = _WORDS.get(fault.code, "This error was injected by the sandbox.").format(
                id=place.id,
                action=f"{place.type.arm_type}/{_ACTIONS[operation]}",
                provider=place.type.arm_type.partition("/")[0],
            )
            raise AzureError(_STATUS.get(fault.code, 409), fault.code, fault.description or words)
