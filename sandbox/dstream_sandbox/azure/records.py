"""Azure's state apart from the broker's: resource groups, namespaces with their access policies and network rules, role
assignments, and resources that are only stored (diagnostic settings, private endpoints), in one file.

Each change is on disk (fsync of file and folder) when the call returns: kill -9 loses no acknowledged change. Names
compare case-insensitively. All subscription ids refer to the same groups.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from dstream_sandbox.servicebus.access import SharedKey
from dstream_sandbox.servicebus.broker.descriptions import AuthorizationRule

__all__ = [
    "GroupRecord",
    "NamespaceRecord",
    "Records",
    "RoleAssignmentRecord",
    "StoredRecord",
    "entity_keys",
    "new_policy",
    "shared_keys",
]

_FILE = "azure.json"


@dataclass(frozen=True, slots=True)
class GroupRecord:
    name: str
    settings: Mapping[str, object]
    """The properties that were set: location, tags, ..."""


@dataclass(frozen=True, slots=True)
class NamespaceRecord:
    name: str
    group: str
    settings: Mapping[str, object]
    policies: tuple[AuthorizationRule, ...]
    created_at: float
    updated_at: float
    amqp_port: int = 0
    admin_port: int = 0
    network_rules: Mapping[str, object] = field(default_factory=dict)

    @property
    def tier(self) -> str:
        sku = self.settings.get("sku")
        return str(sku["name"]) if isinstance(sku, Mapping) else "Standard"

    def policy(self, name: str) -> AuthorizationRule | None:
        return next((each for each in self.policies if each.key_name.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class RoleAssignmentRecord:
    id: str
    scope: str
    settings: Mapping[str, object]
    created_at: float


@dataclass(frozen=True, slots=True)
class StoredRecord:
    id: str
    settings: Mapping[str, object]


class Records:
    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self.groups: dict[str, GroupRecord] = {}
        self.namespaces: dict[str, NamespaceRecord] = {}
        self.role_assignments: dict[str, RoleAssignmentRecord] = {}
        """By id, in lower case."""
        self.stored: dict[str, StoredRecord] = {}
        """By id, in lower case."""
        if self._path.exists():
            self._read(json.loads(self._path.read_text()))

    def group(self, name: str) -> GroupRecord | None:
        return self.groups.get(name.lower())

    def namespace(self, group: str, name: str) -> NamespaceRecord | None:
        found = self.namespaces.get(name.lower())
        return found if found and found.group.lower() == group.lower() else None

    def put_group(self, group: GroupRecord) -> None:
        self.groups[group.name.lower()] = group
        self._write()

    def put_namespace(self, namespace: NamespaceRecord) -> None:
        self.namespaces[namespace.name.lower()] = namespace
        self._write()

    def remove_group(self, name: str) -> None:
        del self.groups[name.lower()]
        self._write()

    def remove_namespace(self, name: str) -> None:
        del self.namespaces[name.lower()]
        self._write()

    def put_role_assignment(self, assignment: RoleAssignmentRecord) -> None:
        self.role_assignments[assignment.id.lower()] = assignment
        self._write()

    def remove_role_assignment(self, resource_id: str) -> None:
        del self.role_assignments[resource_id.lower()]
        self._write()

    def put_stored(self, record: StoredRecord) -> None:
        self.stored[record.id.lower()] = record
        self._write()

    def remove_stored(self, resource_id: str) -> None:
        del self.stored[resource_id.lower()]
        self._write()

    def remove_stored_below(self, resource_id: str) -> None:
        below = f"{resource_id}/".lower()
        self.stored = {key: each for key, each in self.stored.items() if not key.startswith(below)}
        self._write()

    def change_policies(self, namespace: NamespaceRecord, policies: tuple[AuthorizationRule, ...]) -> None:
        self.put_namespace(replace(self.namespaces[namespace.name.lower()], policies=policies))

    def _read(self, kept: Mapping[str, Any]) -> None:
        for group in kept["groups"]:
            self.groups[group["name"].lower()] = GroupRecord(**group)
        for each in kept["namespaces"]:
            policies = tuple(AuthorizationRule(**{**p, "rights": tuple(p["rights"])}) for p in each["policies"])
            self.namespaces[each["name"].lower()] = NamespaceRecord(**{**each, "policies": policies})
        for each in kept.get("role_assignments", ()):
            self.role_assignments[each["id"].lower()] = RoleAssignmentRecord(**each)
        for each in kept.get("stored", ()):
            self.stored[each["id"].lower()] = StoredRecord(**each)

    def _write(self) -> None:
        """Write the file, readable only by the owner, since it contains keys."""
        kept = {
            "groups": [asdict(each) for each in self.groups.values()],
            "namespaces": [asdict(each) for each in self.namespaces.values()],
            "role_assignments": [asdict(each) for each in self.role_assignments.values()],
            "stored": [asdict(each) for each in self.stored.values()],
        }
        temporary = self._path.with_suffix(".tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(kept, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def new_policy(name: str, rights: tuple[str, ...], now: float, primary: str | None = None) -> AuthorizationRule:
    """Return a policy with new keys, or with the given primary key."""
    return AuthorizationRule(name, rights, primary or _new_key(), _new_key(), created_at=now, modified_at=now)


def shared_keys(namespace: NamespaceRecord) -> list[SharedKey]:
    """Return the keys of the namespace; none if access with keys is disabled."""
    if namespace.settings.get("disableLocalAuth"):
        return []
    return [
        SharedKey(each.key_name, (each.primary_key, each.secondary_key), frozenset(each.rights))  # type: ignore[arg-type]  # rights were checked
        for each in namespace.policies
    ]


def entity_keys(
    records: Records, name: str, policies: Callable[[str], Sequence[SharedKey]]
) -> Callable[[str], Sequence[SharedKey]]:
    """Return `policies`, but without any keys while the namespace disables access with keys."""

    def keys(path: str) -> Sequence[SharedKey]:
        record = records.namespaces.get(name.lower())
        return () if record and record.settings.get("disableLocalAuth") else policies(path)

    return keys


def _new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()
