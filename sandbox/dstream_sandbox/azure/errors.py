"""Errors of Azure Resource Manager, formatted as in azure-native.

Shape: azure-native, provider/pkg/azure/client_azcore.go, PulumiAzcoreResponseError. The real service appends a tracking
id and a time to Service Bus messages; the sandbox omits them.
"""

from __future__ import annotations

__all__ = [
    "AlreadyExists",
    "AzureError",
    "already_exists",
    "bad_request",
    "conflict",
    "group_not_found",
    "invalid_reference",
    "locked",
    "not_found",
    "parent_not_found",
    "unreadable_default_rule",
]


class AzureError(Exception):
    """A refused request; nothing has changed."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f'Status={status} Code="{code}" Message="{message}"')
        self.status = status
        self.code = code


class AlreadyExists(Exception):
    """azure-native's own refusal, before it calls ARM, to create an existing resource."""


def already_exists(resource_id: str) -> AlreadyExists:
    """Wording: client_azcore.go, CanCreate."""
    return AlreadyExists(f"cannot create already existing resource '{resource_id}'")


def unreadable_default_rule(resource_id: str) -> str:
    """azure-native's own error (custom_servicebus_defaultrule.go, defaultRuleNotFoundOutcome): it does not take a 404
    for a deletion while the subscription exists."""
    return (
        f'could not read $Default rule "{resource_id}" even though its parent subscription still exists; this is a'
        " known Azure API limitation after modifying the rule's filter (see"
        " https://github.com/pulumi/pulumi-azure-native/issues/4489) and should resolve on its own - try again shortly"
    )


def group_not_found(name: str) -> AzureError:
    return AzureError(404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found.")


def parent_not_found(arm_type: str, parent_id: str, action: str = "write") -> AzureError:
    """ARM's wording, as quoted in pulumi-azure-native issue 4528 and others."""
    nested = arm_type.partition("/")[2]
    return AzureError(
        404,
        "ParentResourceNotFound",
        f"Failed to perform '{action}' on resource(s) of type '{nested}', because the parent resource '{parent_id}'"
        " could not be found.",
    )


def not_found(arm_type: str, name: str, group: str) -> AzureError:
    """ARM's wording for a resource that it manages itself."""
    return AzureError(
        404,
        "ResourceNotFound",
        f"The Resource '{arm_type}/{name}' under resource group '{group}' was not found. For more details please go to"
        " https://aka.ms/ARMResourceNotFoundFix",
    )


def invalid_reference(missing: str, by: str) -> AzureError:
    """Microsoft.Network's wording, as quoted in azure-cli issue 13614 and others."""
    return AzureError(
        400,
        "InvalidResourceReference",
        f"Resource {missing} referenced by resource {by} was not found. Please make sure that the referenced resource"
        " exists, and that both resources are in the same region.",
    )


def bad_request(text: str) -> AzureError:
    """A refusal by Service Bus itself (Microsoft, "Azure Service Bus Resource Manager exceptions"); the code is the one
    quoted in terraform-provider-azurerm issues 27285 and 28576."""
    return AzureError(400, "MessagingGatewayBadRequest", _with_sub_code(40000, text))


def conflict(text: str) -> AzureError:
    return AzureError(409, "MessagingGatewayConflict", _with_sub_code(40900, text))


def locked(resource_id: str) -> AzureError:
    """Microsoft, "Lock your resources to protect your infrastructure": a CanNotDelete lock."""
    return AzureError(
        409,
        "ScopeLocked",
        f"The scope '{resource_id}' cannot perform delete operation because following scope(s) are locked:"
        f" '{resource_id}'. Please remove the lock and try again.",
    )


def _with_sub_code(code: int, text: str) -> str:
    return text if text.startswith("SubCode=") else f"SubCode={code}. {text}"
