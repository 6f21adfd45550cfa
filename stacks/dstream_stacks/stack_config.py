"""Stores a spec in a stack's configuration, so that the plain `pulumi` CLI can use it."""

from __future__ import annotations

import json

from dstream_stacks.spec import ServiceBusSpec, as_document, from_document

_NAMESPACE = "servicebus"  # not `dstream`: the engine would pass its settings to the provider of that name
_KEY = "spec"


def stack_config(spec: ServiceBusSpec) -> dict[str, str]:
    """Return the settings of a stack with this spec, without secrets."""
    settings = {f"{_NAMESPACE}:{_KEY}": json.dumps(as_document(spec), separators=(",", ":"))}
    if spec.subscription_id:
        settings["azure-native:subscriptionId"] = spec.subscription_id
    return settings


def configured_spec() -> ServiceBusSpec:
    """Return the spec of the running program's stack. Raises Pulumi's error if missing, ValueError if invalid."""
    import pulumi

    return from_document(pulumi.Config(_NAMESPACE).require_object(_KEY))
