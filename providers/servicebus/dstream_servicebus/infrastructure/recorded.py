"""Checks that the recorded resources fit the current settings. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dstream_stacks.ignorable import ignores
from dstream_stacks.inputs import namespace_inputs
from dstream_stacks.resource_ids import NAMESPACE
from dstream_stacks.spec import Mode, ServiceBusSpec

from dstream.infra import Recorded
from dstream.sdk.errors import ConfigError

_PACKAGES: dict[str, Mode] = {"azure-native": "arm", "dstream": "entities"}


def check_recorded(spec: ServiceBusSpec, recorded: Sequence[Recorded], is_destroyed: bool) -> None:
    """Check the recorded resources. `is_destroyed`: nothing will be created. Raises ConfigError."""
    for each in recorded:
        mode = _PACKAGES.get(each.type.partition(":")[0])
        if mode is not None and mode != spec.mode:
            raise ConfigError(
                "servicebus.mode_changed",
                f'the recorded resources were created in mode "{mode}"; a stack cannot change its mode',
                hint=f'Set mode = "{mode}", or use another stack (with import = true to import existing resources).',
                config_path="mode",
            )
    if not is_destroyed:
        _check_kinds(spec, recorded)
        _check_namespace(spec, recorded)


def check_same_namespace(recorded: Sequence[Recorded], connected: Callable[[], str], setting: str) -> None:
    """Check that the recorded entities are in the connected namespace, because their ids do not contain it: otherwise,
    entities of the same names there would be taken for them. `connected`: returns its name, empty if unknown;
    `setting`: the one that names it. Raises ConfigError.
    """
    names = {str(each.outputs["namespace"]) for each in recorded if each.outputs.get("namespace")}
    if not names or not (other := connected()):
        return
    for name in sorted(names):
        if name.lower() != other.lower():
            raise ConfigError(
                "servicebus.other_namespace",
                f"the recorded entities are in namespace {name}, but {setting} connects to {other}",
                hint=f"Connect to {name}. To leave its entities as they are and provision {other}, use another stack, "
                "or remove them from the record first: `dstream state infra rm`.",
                config_path=setting,
            )


def _check_kinds(spec: ServiceBusSpec, recorded: Sequence[Recorded]) -> None:
    """Check that no queue replaces a topic of the same name, or vice versa: the engine creates before it deletes, but
    both cannot have the same name."""
    wanted = {each.name.lower(): "queue" for each in spec.queues} | {each.name.lower(): "topic" for each in spec.topics}
    for token, name, *_ in recorded:
        kind, key = token.rpartition(":")[2].lower(), name.lower()
        if kind in ("queue", "topic") and wanted.get(key, kind) != kind:
            raise ConfigError(
                "servicebus.kind_changed",
                f'"{name}" is recorded as a {kind}; a {wanted[key]} cannot have the same name',
                hint=f"Delete the {kind} first: `dstream destroy --target {name}`, then `dstream init`.",
                config_path=wanted[key],
            )


def _check_namespace(spec: ServiceBusSpec, recorded: Sequence[Recorded]) -> None:
    """Check that a created namespace keeps what cannot be changed, although azure-native plans an update.

    Sources: Microsoft, "Migrate existing Azure Service Bus standard namespaces to the premium tier" and "Partitioned
    queues and topics"; for the key, azurerm's servicebus_namespace, which replaces the namespace. Azure itself sets
    zone redundancy (azure-rest-api-specs, pull request 33902), and turns it on later (pulumi-azure-native, pull request
    4210).
    """
    wanted = spec.namespace
    if wanted is None or not wanted.create:
        return
    for each in recorded:
        if each.type != NAMESPACE or each.name.lower() != wanted.name.lower() or _is_moved(each, wanted.location):
            continue
        old, new = each.inputs, namespace_inputs(wanted)
        old_tier, new_tier = (old.get("sku") or {}).get("name") or "Standard", new["sku"]["name"]
        if (old_tier == "Premium") != (new_tier == "Premium") and not ignores(wanted.ignore_changes, "sku.name"):
            raise _fixed("sku", old_tier, new_tier)
        keeps_partitions = ignores(wanted.ignore_changes, "premiumMessagingPartitions")
        if new_tier == "Premium" and _partitions(old) != _partitions(new) and not keeps_partitions:
            raise _fixed("premium_messaging_partitions", _partitions(old), _partitions(new))
        keeps_key = ignores(wanted.ignore_changes, "encryption")
        if old.get("encryption") and wanted.customer_managed_key is None and not keeps_key:
            raise _fixed("customer_managed_key", "set", "none")
        if wanted.zone_redundant and old.get("zoneRedundant") is not True:
            raise _fixed("zone_redundant", "off", "on")


def _is_moved(namespace: Recorded, location: str) -> bool:
    """Whether it would be replaced anyway, because its location changes."""
    return _plain(str(namespace.inputs.get("location", location))) != _plain(location)


def _plain(location: str) -> str:
    return location.replace(" ", "").lower()


def _partitions(inputs: Mapping[str, Any]) -> int:
    return int(inputs.get("premiumMessagingPartitions") or 1)


def _fixed(setting: str, old: object, new: object) -> ConfigError:
    return ConfigError(
        "servicebus.fixed",
        f"{setting} of an existing namespace cannot be changed ({old} → {new})",
        hint="Create a namespace with another name and move the tasks to it. From Standard to Premium, Azure can also "
        "migrate a namespace (`az servicebus migration`). If it was changed outside DStream, record it first: "
        "`dstream status --refresh-only`.",
        config_path=setting,
    )
