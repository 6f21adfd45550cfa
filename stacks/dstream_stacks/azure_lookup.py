"""Checks for existing resources in Azure, through the azure-native provider. Only for use in a Pulumi program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_azure_native as azure_native
from pulumi_azure_native._utilities import get_invoke_opts_defaults

from dstream_stacks import resource_ids as ids
from dstream_stacks.inputs import snake_case

_NOT_FOUND = "Status=404 "
"""How azure-native words Azure's 404 (pulumi-azure-native, provider/pkg/azure/client_azcore.go)."""

LIST_KEYS = {
    ids.NAMESPACE_AUTHORIZATION_RULE: "list_namespace_keys",
    ids.QUEUE_AUTHORIZATION_RULE: "list_queue_keys",
    ids.TOPIC_AUTHORIZATION_RULE: "list_topic_keys",
}


def exists_in_azure(resource_type: str, resource_id: str) -> bool:
    """Return whether it exists. Raises the SDK's exception if that is unknown: not authorized or unreachable."""
    return _found(lambda: pulumi.runtime.invoke(*_get(resource_type, resource_id)).value) is not None


async def look_in_azure(resource_type: str, resource_id: str) -> bool:
    """Like `exists_in_azure`, without blocking the program."""
    try:
        await pulumi.runtime.invoke_async(*_get(resource_type, resource_id))
    except Exception as error:
        if _NOT_FOUND in str(error):
            return False
        raise
    return True


def _get(resource_type: str, resource_id: str) -> tuple[str, dict[str, str], pulumi.InvokeOptions]:
    """Return the function that reads a resource of this type, and its arguments.

    Not through the modules' functions: importing pulumi_azure_native.network takes seconds.
    """
    parts = ids.path_parts(resource_type, resource_id)
    parts.pop("subscriptionId", None)  # the provider uses its own
    if resource_type == ids.DEFAULT_RULE:
        resource_type, parts = ids.RULE, {**parts, "ruleName": "$Default"}
    module, _, name = resource_type.rpartition(":")
    return f"{module}:get{name}", parts, get_invoke_opts_defaults()


def connection_string_of(rule_id: str) -> str | None:
    """Return the connection string with the current primary key of an authorization rule, or None if the rule does not
    exist. Raises as `exists_in_azure`.
    """
    kind, parts = next((kind, parts) for kind in LIST_KEYS if (parts := ids.parts_if(kind, rule_id)))
    parts.pop("subscriptionId")
    list_keys = getattr(azure_native.servicebus, LIST_KEYS[kind])
    found = _found(lambda: list_keys(**{snake_case(name): value for name, value in parts.items()}))
    return None if found is None else str(found.primary_connection_string)


def existing_namespace(namespace: str, resource_group: str) -> Any:
    """Return the namespace as azure-native reports it. Raises RunError if it does not exist."""
    get = azure_native.servicebus.get_namespace
    found = _found(lambda: get(namespace_name=namespace, resource_group_name=resource_group))
    if found is None:
        raise pulumi.RunError(
            f'the namespace "{namespace}" does not exist in resource group "{resource_group}", '
            "and create_namespace is not set"
        )
    return found


def current_subscription() -> str:
    """The default subscription of the credentials."""
    found = pulumi.runtime.invoke("azure-native:authorization:getClientConfig", {}, get_invoke_opts_defaults()).value
    return str(found["subscriptionId"])


def _found(get: Callable[[], Any]) -> Any:
    """Return the resource, or None if it does not exist."""
    try:
        return get()
    except Exception as error:  # the SDK has no narrower type for a failed invoke
        if _NOT_FOUND in str(error):
            return None
        raise
