"""A spec in a stack's configuration, where DStream leaves it for the plain `pulumi` CLI to find."""

from __future__ import annotations

import json

from dstream_stacks.spec import ServiceBusSpec, as_document, from_document

_NAMESPACE = "servicebus"  # not `dstream`, whose settings the engine would hand to the provider of that name
_KEY = "spec"


def stack_config(spec: ServiceBusSpec) -> dict[str, str]:
    """The settings of a stack of this spec. There is no secret in them."""
    settings = {f"{_NAMESPACE}:{_KEY}": json.dumps(as_document(spec), separators=(",", ":"))}
    if spec.subscription_id:
        settings["azure-native:subscriptionId"] = spec.subscription_id
    return settings


def configured_spec() -> ServiceBusSpec:
    """The spec of the running program's stack. Raises what Pulumi raises without one, and ValueError for no spec."""
    import pulumi

    return from_document(pulumi.Config(_NAMESPACE).require_object(_KEY))
