"""What a plan says about who can connect to the namespace after it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dstream_stacks.resource_ids import NAMESPACE, NETWORK_RULE_SET, PRIVATE_ENDPOINT
from dstream_stacks.spec import ServiceBusSpec

from dstream.infra import Step


def network_warnings(spec: ServiceBusSpec, steps: Sequence[Step]) -> Iterator[str]:
    """Yield warnings about the changes of a plan.

    Without public network access, only private endpoints reach a namespace (Microsoft: "Network security for Azure
    Service Bus"). Deleting network rules resets them to Allow (pulumi-azure-native, pull request 4691).
    """
    changed = {each.type: each.op for each in steps if each.op != "same"}
    namespace = spec.namespace
    if namespace is None:
        return
    closes = NAMESPACE in changed or changed.get(PRIVATE_ENDPOINT) == "delete"
    if closes and namespace.public_network_access == "Disabled" and not namespace.private_endpoints:
        yield (
            f"Warning: without public network access and without private_endpoints, no client can connect to "
            f"{namespace.name}, not even this task, unless it has a private endpoint of others."
        )
    if changed.get(NETWORK_RULE_SET) == "delete" and changed.get(NAMESPACE) not in ("delete", "replace"):
        yield (
            f"Warning: without network_rules, clients of every network can connect to {namespace.name}, unless "
            "public_network_access is Disabled."
        )
