"""Resource groups and namespaces: the existing ones, the operations on them, and access to a namespace's entities."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dstream_sandbox.azure.built_in import BUILT_IN, LOCATION
from dstream_sandbox.azure.errors import (
    AzureError,
    already_exists,
    bad_request,
    group_not_found,
    locked,
    parent_not_found,
)
from dstream_sandbox.azure.ids import Place
from dstream_sandbox.azure.namespaces import LocalNamespace, OwnNamespaces, RunningNamespace
from dstream_sandbox.azure.records import GroupRecord, NamespaceRecord, Records, new_policy
from dstream_sandbox.ports import free_ports

__all__ = ["ALL_RIGHTS", "ROOT_POLICY", "Cloud", "Found", "moment"]

ROOT_POLICY = "RootManageSharedAccessKey"
ALL_RIGHTS = ("Listen", "Manage", "Send")
_NAMESPACE_NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9]|-(?!-))*[A-Za-z0-9]")
_NOBODY = "00000000-0000-0000-0000-000000000000"
_RESERVED_ENDS = ("-sb", "-mgmt")
_GROUP_NAME = re.compile(r"[\w().-]*[\w()-]")


@dataclass(frozen=True, slots=True)
class Found:
    """A resource: its settings, and the outputs that only the service sets."""

    settings: Mapping[str, object]
    outputs: Mapping[str, object] = field(default_factory=dict)


class Cloud:
    """The Azure state of one sandbox."""

    def __init__(self, records: Records, local: LocalNamespace, own: OwnNamespaces) -> None:
        self.records = records
        self._local = local
        self._own = own
        self._changing = asyncio.Lock()

    async def open(self, root_key: str) -> None:
        """Create the built-in resources and start the recorded ones."""
        now = time.time()
        tier = "Premium" if self._local.broker.profile == "premium" else "Standard"
        if self.records.group(BUILT_IN) is None:
            self.records.put_group(GroupRecord(BUILT_IN, {"location": LOCATION}))
        kept = self.records.namespaces.get(BUILT_IN)
        if kept is None:
            settings = {"location": LOCATION, "sku": {"name": tier}}
            policy = new_policy(ROOT_POLICY, ALL_RIGHTS, now, root_key)
            kept = NamespaceRecord(BUILT_IN, BUILT_IN, settings, (policy,), now, now)
            self.records.put_namespace(kept)
        self._follow_settings(kept, tier, root_key)
        for each in list(self.records.namespaces.values()):
            if each.name != BUILT_IN:
                await self._own.start(each)

    async def close(self) -> None:
        await self._own.close()

    # Resource groups

    def read_group(self, place: Place) -> Found | None:
        record = self.records.group(place.group)
        return Found(record.settings, {"properties": {"provisioningState": "Succeeded"}}) if record else None

    async def create_group(self, place: Place, settings: Mapping[str, object]) -> None:
        async with self._changing:
            if self.records.group(place.group):
                raise already_exists(place.id)
            _check_group_name(place.group)
            self.records.put_group(GroupRecord(place.group, settings))

    async def update_group(self, place: Place, settings: Mapping[str, object]) -> None:
        async with self._changing:
            self.records.put_group(GroupRecord(place.group, settings))

    async def delete_group(self, place: Place) -> None:
        """Delete the group with everything in it."""
        async with self._changing:
            if place.group.lower() == BUILT_IN:
                raise locked(place.id)
            if self.records.group(place.group) is None:
                return
            for each in list(self.records.namespaces.values()):
                if each.group.lower() == place.group.lower():
                    await self._remove_namespace(each)
            self.records.remove_stored_below(place.id)
            self.records.remove_group(place.group)

    # Namespaces

    def read_namespace(self, place: Place) -> Found | None:
        record = self.records.namespace(place.group, place.namespace)
        if record is None:
            return None
        running = self._running(record)
        return Found(
            {**record.settings, "sku": _whole_sku(record)},
            {
                "createdAt": moment(record.created_at),
                "updatedAt": moment(record.updated_at),
                "metricId": f"{place.subscription}:{record.name.lower()}",
                "provisioningState": "Succeeded",
                "status": "Active",
                "serviceBusEndpoint": f"https://localhost:{running.admin_port}/",
                **_identity(record),
            },
        )

    async def create_namespace(self, place: Place, settings: Mapping[str, object]) -> None:
        async with self._changing:
            self._group(place.group)
            if self.find_namespace(place):
                raise already_exists(place.id)
            _check_namespace_name(place.namespace)
            if place.namespace.lower() in self.records.namespaces:  # names are global
                raise AzureError(
                    400,
                    "NamespaceUnavailable",
                    f"Namespace name '{place.namespace}' is not available. Reason: NameInUse.",
                )
            now = time.time()
            policy = new_policy(ROOT_POLICY, ALL_RIGHTS, now)
            amqp_port, admin_port = self._free_ports()
            record = NamespaceRecord(place.namespace, place.group, settings, (policy,), now, now, amqp_port, admin_port)
            _check_sku(record.tier, settings)
            await self._own.make(record)
            self.records.put_namespace(record)

    async def update_namespace(self, place: Place, settings: Mapping[str, object]) -> None:
        if self.find_namespace(place) is None:
            await self.create_namespace(place, settings)
            return
        async with self._changing:
            record = self.namespace(place)
            changed = replace(record, settings=settings, updated_at=time.time())
            if (record.tier == "Premium") != (changed.tier == "Premium"):
                raise AzureError(
                    400,
                    "BadRequest",
                    f"Updating the SKU of a namespace from '{record.tier}' to '{changed.tier}' is not supported.",
                )
            _check_partitions(record.settings, settings)
            _check_sku(changed.tier, settings)
            self.records.put_namespace(changed)

    async def delete_namespace(self, place: Place) -> None:
        async with self._changing:
            record = self.records.namespace(place.group, place.namespace)
            if record is None:
                return
            if record.name == BUILT_IN:
                raise locked(place.id)
            await self._remove_namespace(record)

    # For the resources in a namespace

    def find_namespace(self, place: Place) -> NamespaceRecord | None:
        return self.records.namespace(place.group, place.namespace)

    def namespace(self, place: Place, action: str = "write") -> NamespaceRecord:
        """Return the namespace. Raises AzureError if it or its resource group does not exist."""
        self._group(place.group)
        record = self.find_namespace(place)
        if record is None:
            head = place.id.lower().index("/namespaces/") + len("/namespaces/") + len(place.namespace)
            raise parent_not_found(place.type.arm_type, place.id[:head], action)
        return record

    def running(self, place: Place) -> RunningNamespace:
        return self._running(self.namespace(place))

    def _follow_settings(self, kept: NamespaceRecord, tier: str, root_key: str) -> None:
        """Apply --profile and the key, which may have changed since the last start."""
        settings = dict(kept.settings)
        if (kept.tier == "Premium") != (tier == "Premium"):
            settings["sku"] = {"name": tier}
        policies = tuple(
            replace(each, primary_key=root_key) if each.key_name == ROOT_POLICY else each for each in kept.policies
        )
        if (settings, policies) != (kept.settings, kept.policies):
            self.records.put_namespace(replace(kept, settings=settings, policies=policies))

    def _running(self, record: NamespaceRecord) -> RunningNamespace:
        if record.name == BUILT_IN:
            return self._local
        found = self._own.find(record.name)
        assert found is not None, "every recorded namespace is running"
        return found

    def _group(self, name: str) -> GroupRecord:
        record = self.records.group(name)
        if record is None:
            raise group_not_found(name)
        return record

    async def _remove_namespace(self, record: NamespaceRecord) -> None:
        self.records.remove_namespace(record.name)
        await self._own.remove(record.name)

    def _free_ports(self) -> list[int]:
        """Two ports that no recorded namespace uses."""
        taken = {port for each in self.records.namespaces.values() for port in (each.amqp_port, each.admin_port)}
        return [port for port in free_ports(2 + len(taken)) if port not in taken][:2]


def _identity(record: NamespaceRecord) -> dict[str, object]:
    """The identity as Azure returns it: the user-assigned ones by id, each with its ids in Entra ID."""
    identity = record.settings.get("identity")
    if not isinstance(identity, Mapping):
        return {}
    nobody = {"clientId": _NOBODY, "principalId": _NOBODY}
    return {
        "identity": {
            **identity,
            "userAssignedIdentities": {str(each): nobody for each in identity.get("userAssignedIdentities", ())},
        }
    }


def moment(seconds: float) -> str:
    """Format a time as ARM does."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"


def _whole_sku(record: NamespaceRecord) -> dict[str, object]:
    sku = record.settings.get("sku")
    return {"name": record.tier, "tier": record.tier, **(sku if isinstance(sku, Mapping) else {})}


def _check_group_name(name: str) -> None:
    """Source: "Naming rules and restrictions for Azure resources", Microsoft.Resources."""
    if not _GROUP_NAME.fullmatch(name):
        raise AzureError(
            400,
            "InvalidResourceGroup",
            f"The provided resource group name '{name}' has these invalid characters or ends with a period. The name"
            " can only be a letter, digit, '-', '.', '(', ')' or '_'.",
        )


def _check_namespace_name(name: str) -> None:
    """Source: "Naming rules and restrictions for Azure resources", Microsoft.ServiceBus; wording: azure-service-bus
    issue 269."""
    if not _NAMESPACE_NAME.fullmatch(name) or not 6 <= len(name) <= 50 or name.lower().endswith(_RESERVED_ENDS):
        raise AzureError(400, "BadRequest", "The specified service namespace is invalid.")


def _check_partitions(old: Mapping[str, object], new: Mapping[str, object]) -> None:
    """Source: Microsoft, "Partitioned queues and topics"; the wording is the sandbox's own."""
    name = "premiumMessagingPartitions"
    if (old.get(name) or 1) != (new.get(name) or 1):
        raise bad_request("The number of messaging partitions of an existing namespace cannot be changed.")


def _check_sku(tier: str, settings: Mapping[str, object]) -> None:
    """Messaging units and zones require Premium (Microsoft, "Service Bus Premium messaging tier")."""
    sku = settings.get("sku")
    sku = sku if isinstance(sku, Mapping) else {}
    if sku.get("tier") not in (None, tier):
        raise bad_request(f"The SKU name '{tier}' and the SKU tier '{sku.get('tier')}' do not match.")
    if tier != "Premium" and settings.get("encryption"):  # Microsoft, "Configure customer-managed keys"
        raise bad_request(f"Customer-managed keys are not supported in the '{tier}' tier.")
    if tier == "Premium" and sku.get("capacity") not in (None, 1, 2, 4, 8, 16):
        raise bad_request(f"The capacity '{sku.get('capacity')}' of a Premium namespace must be 1, 2, 4, 8 or 16.")
