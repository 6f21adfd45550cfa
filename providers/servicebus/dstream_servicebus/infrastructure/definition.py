"""The definition of a task's Service Bus stack, for `dstream init`, `plan`, `status` and `destroy`.

Connects the settings with the program, ids and counts of `dstream_stacks` and the engine of `dstream.infra`. Used
only by lifecycle commands. Imports azure only for mode `entities`, because that takes 0.2 s.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, get_args

import msgspec
from dstream_stacks.arm_program import arm_program
from dstream_stacks.capacity import capacity_lines
from dstream_stacks.entities_program import entities_program
from dstream_stacks.holdings import messages_held
from dstream_stacks.letter_case import with_recorded_case
from dstream_stacks.properties import Tier
from dstream_stacks.removed_settings import with_defaults_of_removed
from dstream_stacks.resource_ids import NAMESPACE, RESOURCE_GROUP, resource_id
from dstream_stacks.spec import Namespace, ServiceBusSpec, as_document
from dstream_stacks.stack_config import stack_config

from dstream.infra import Definition, Recorded, Step, UnrecordedResources
from dstream.sdk import Figure
from dstream.sdk.errors import ConfigError
from dstream_servicebus.access import access, publishes_with_key
from dstream_servicebus.config import Config
from dstream_servicebus.infrastructure.contents import contents_in_azure, contents_of_topics
from dstream_servicebus.infrastructure.display import ServiceBusDisplay
from dstream_servicebus.infrastructure.filtered import filtered_subscriptions, unfiltered_at_first
from dstream_servicebus.infrastructure.forwarding import renewed_entities, renewed_in_azure
from dstream_servicebus.infrastructure.key_rotation import regenerated
from dstream_servicebus.infrastructure.network_warnings import network_warnings
from dstream_servicebus.infrastructure.recorded import check_recorded, check_same_namespace
from dstream_servicebus.settings.messages import REPEATS_IN_PACKS
from dstream_servicebus.specs.declared_by import config_path_of, protect_setting
from dstream_servicebus.specs.provision import expected_load, place_of, spec_of

if TYPE_CHECKING:
    from azure.servicebus.management import NamespaceProperties, ServiceBusAdministrationClient

_NAMING = frozenset(
    {
        "resourceGroupName",
        "namespaceName",
        "queueName",
        "topicName",
        "subscriptionName",
        "ruleName",
        "authorizationRuleName",
        "roleAssignmentName",
        "privateEndpointName",
        "privateDnsZoneGroupName",
        "scope",
        "resourceUri",
        "name",
        "azureApiVersion",
        "filterType",
        "sqlFilter.requiresPreprocessing",
    }
)
_UNREADABLE = "even though its parent subscription still exists"
"""For minutes after its filter has changed, Azure does not return a `$Default` rule; azure-native then neither reports
the rule as deleted nor reads it (pulumi-azure-native#4489, custom_servicebus_defaultrule.go).
"""
_SIZES = ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB"))
_MB = 1 << 20
_SUBSCRIPTION = re.compile(r"/subscriptions/([^/]+)/", re.IGNORECASE)


def definition(config: Config, *, import_existing: bool, is_made: bool = True) -> Definition:
    """Return the stack that the settings describe. Without `is_made`, it contains only the resource group and the
    namespace, for commands that use the record. Raises ConfigError.
    """
    spec = spec_of(config, import_existing=import_existing) if is_made else place_of(config)
    return _definition(config, spec)


def _definition(config: Config, spec: ServiceBusSpec) -> Definition:
    defined = _through_administration(config, spec) if spec.mode == "entities" else _through_azure(config, spec)
    return replace(
        defined,
        spec=as_document(spec),
        where=_where(spec),
        config_path_of=partial(config_path_of, config),
        naming=_NAMING,
        is_unreadable=lambda error: _UNREADABLE in error,
        holds=_holds,
        held="messages",
        confirmed_by_name=(RESOURCE_GROUP, NAMESPACE),
        protect_setting=partial(protect_setting, config),
        display=ServiceBusDisplay(),
        figures=_figures,
    )


def _continued(
    config: Config,
    spec: ServiceBusSpec,
    namespace: Callable[[], str],
    recorded: Sequence[Recorded],
    is_destroyed: bool,
) -> Definition | None:
    """`namespace`: returns the name of the connected namespace, empty if unknown."""
    check_recorded(spec, recorded, is_destroyed)
    check_same_namespace(recorded, namespace, _connecting_setting(config))
    continued = with_recorded_case(spec, [each.inputs for each in recorded])
    if spec.mode == "arm":
        continued = with_defaults_of_removed(continued, [each[:3] for each in recorded])
    return None if continued == spec else _definition(config, continued)


def _through_azure(config: Config, spec: ServiceBusSpec) -> Definition:
    namespace, filtered = _ExistingNamespace(), filtered_subscriptions(spec)
    subscription = _Subscription(spec.subscription_id or os.environ.get("ARM_SUBSCRIPTION_ID", ""))
    unrecorded = UnrecordedResources()
    name = spec.namespace.name if spec.namespace else ""

    def program() -> Awaitable[object] | None:
        see = None if subscription.id else subscription.see
        return arm_program(spec, see_namespace=namespace.see, see_subscription=see, unrecorded=unrecorded)()

    return Definition(
        program=program,
        spec={},
        resource_id=lambda kind, inputs: resource_id(kind, inputs, subscription.id),
        continued=partial(_continued, config, spec, lambda: ""),  # the ids contain the namespace
        see_ids=subscription.see_ids,
        unrecorded=unrecorded,
        plugins={"azure-native": version("pulumi-azure-native")},  # the plugin of the program's classes
        engine_config=stack_config(spec),
        contents=lambda steps, run: contents_in_azure(steps, run, os.environ),
        renewed=lambda steps, run: renewed_in_azure(steps, run, os.environ),
        stale_outputs=(lambda outputs, run: regenerated(subscription.ids, name, outputs, run))
        if publishes_with_key(config)
        else None,
        message=lambda steps: "\n".join(
            filter(
                None,
                (
                    unfiltered_at_first(filtered, steps),
                    *network_warnings(spec, steps),
                    _packing(config),
                    _capacity(config, spec, namespace),
                ),
            )
        ),
    )


def _through_administration(config: Config, spec: ServiceBusSpec) -> Definition:
    from dstream_servicebus.connection import Connector
    from dstream_servicebus.entities.namespace import ConnectedNamespace
    from dstream_servicebus.entities.resources import PACKAGE, entities_resources

    connector = Connector(access(config))
    if connector.administration() is None:
        raise ConfigError(
            "servicebus.no_administration",
            "the address of the administration endpoint is unknown",
            hint="Set admin_connection_string: an emulator's connection string does not include its port.",
            config_path="admin_connection_string",
        )

    def administration() -> ServiceBusAdministrationClient:
        client = connector.administration(patient=True)
        assert client is not None  # checked above
        return client

    resources = entities_resources(administration, filtered_subscriptions(spec))
    unrecorded, namespace = UnrecordedResources(), ConnectedNamespace(administration)
    return Definition(
        program=entities_program(spec, exists=resources.exists, unrecorded=unrecorded),
        spec={},
        resource_id=resource_id,
        continued=partial(_continued, config, spec, lambda: namespace.name),
        unrecorded=unrecorded,
        attached={PACKAGE: resources},
        contents=lambda steps, run: contents_of_topics(steps, administration),
        renewed=lambda steps, run: renewed_entities(steps, administration),
        message=lambda steps: "\n".join(
            filter(
                None,
                (
                    *(f"Warning: connected to {host} without TLS." for host in connector.plaintext_hosts),
                    _packing(config),
                    _capacity(config, spec, _tier_of(namespace.properties)),
                ),
            )
        ),
    )


@dataclass(slots=True)
class _ExistingNamespace:
    """The tier of an existing namespace, once known."""

    tier: Tier | None = None
    capacity: int | None = None

    def see(self, tier: str, capacity: int | None) -> None:
        self.tier = next((each for each in get_args(Tier) if each == tier), None)
        self.capacity = capacity


@dataclass(slots=True)
class _Subscription:
    """The Azure subscription: as configured, as recorded, or that of the credentials, such as those of `az login`."""

    id: str
    ids: Collection[str] = ()
    """Of the recorded resources."""

    def see(self, id_: str) -> None:
        self.id = id_

    def see_ids(self, ids: Collection[str]) -> None:
        self.ids = ids
        for each in ids:
            if not self.id and (match := _SUBSCRIPTION.match(each)):
                self.id = match[1]


def _tier_of(found: NamespaceProperties | None) -> _ExistingNamespace:
    namespace = _ExistingNamespace()
    if found is not None:  # an emulator has no tier; the plan does not depend on it
        namespace.see(str(found.messaging_sku), found.messaging_units)
    return namespace


def _connecting_setting(config: Config) -> str:
    """The setting that determines the namespace."""
    if config.admin_connection_string is not None:
        return "admin_connection_string"
    return "connection_string" if config.connection_string is not None else "namespace"


def _packing(config: Config) -> str:
    return f"Packing: {REPEATS_IN_PACKS}." if config.packing is not None else ""


def _capacity(config: Config, spec: ServiceBusSpec, existing: _ExistingNamespace) -> str:
    """The capacity of the tier, shown at the end of a plan."""
    named = spec.namespace or Namespace(name="")
    if named.tier is None:
        named = msgspec.structs.replace(named, tier=existing.tier, capacity=existing.capacity)
    lines = capacity_lines(msgspec.structs.replace(spec, namespace=named), expected_load(config))
    return "\n".join(f"Capacity: {line}" if not index else line for index, line in enumerate(lines))


def _where(spec: ServiceBusSpec) -> str:
    """E.g. 'sb-retail (rg-retail)'; empty if only a connection string is set."""
    namespace = spec.namespace.name if spec.namespace else ""
    return f"{namespace} ({spec.resource_group.name})" if spec.resource_group else namespace


def _holds(step: Step) -> int:
    """Return how many messages the resource holds. Raises LookupError if its outputs have no counts."""
    held = messages_held(step.type, step.outputs)
    if held is None:
        raise LookupError(f"no message counts among the outputs of {step.name}")
    return held


def _figures(steps: Sequence[Step]) -> Sequence[Figure]:
    """Return the message counts and sizes of the queues and subscriptions."""
    return [
        _figure(step.name, step.outputs)
        for step in steps
        if step.type.endswith((":Queue", ":Subscription")) and step.op != "delete" and "countDetails" in step.outputs
    ]


def _figure(name: str, outputs: Mapping[str, Any]) -> Figure:
    counts = outputs["countDetails"]
    values = {
        "active": int(counts.get("activeMessageCount") or 0),
        "dead_lettered": int(counts.get("deadLetterMessageCount") or 0),
        "scheduled": int(counts.get("scheduledMessageCount") or 0),
    }
    words = [f"{values['active']:,} active", f"{values['dead_lettered']:,} dead-lettered"]
    if values["scheduled"]:
        words.append(f"{values['scheduled']:,} scheduled")
    if "sizeInBytes" in outputs:
        values["size_bytes"] = int(outputs["sizeInBytes"])
        size = _size(values["size_bytes"])
        if "maxSizeInMegabytes" in outputs:
            values["max_bytes"] = int(outputs["maxSizeInMegabytes"]) * _MB
            size += f" of {_size(values['max_bytes'])}"
        words.append(size)
    return Figure("messages", name, " · ".join(words), values)


def _size(size: int) -> str:
    for unit, name in _SIZES:
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size} bytes"
