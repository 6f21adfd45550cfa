"""How plans and drift show a deployment; the host formats everything else."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dstream_stacks import resource_ids as ids
from dstream_stacks.container_apps import ROLES

from dstream.sdk import Difference, Resource

_KINDS = {
    ids.RESOURCE_GROUP: "resource group",
    ids.ENVIRONMENT: "environment",
    ids.CONTAINER_APP: "container app",
    ids.IDENTITY: "identity",
    ids.STORAGE_ACCOUNT: "storage account",
    ids.BLOB_CONTAINER: "blob container",
    ids.WORKSPACE: "log workspace",
    ids.DIAGNOSTIC_SETTING: "diagnostic setting",
    ids.ROLE_ASSIGNMENT: "role assignment",
}
_ROLE_NAMES = {definition: name for name, definition in ROLES.items()}
_LABELS = {
    "appLogsConfiguration.destination": "log destination",
    "configuration.activeRevisionsMode": "revision mode",
    "configuration.registries": "registries",
    "configuration.secrets": "secrets",
    "identity.userAssignedIdentities": "user-assigned identities",
    "managedEnvironmentId": "environment",
    "roleDefinitionId": "role",
    "configuration.secrets[0].value": "configuration",
    "template.containers[0].args": "arguments",
    "template.containers[0].env": "environment variables",
    "template.containers[0].env[0].value": "digest of the configuration",
    "template.containers[0].image": "image",
    "template.containers[0].resources.cpu": "cores",
    "template.containers[0].resources.memory": "memory",
    "template.scale.maxReplicas": "maximum replicas",
    "template.scale.minReplicas": "minimum replicas",
    "template.terminationGracePeriodSeconds": "termination grace period (s)",
    "template.volumes": "files",
}


class ContainerAppsDisplay:
    """Implements dstream.infra.Display. Values may be masks, or placeholders of what is known only after creation."""

    def kind(self, resource_type: str) -> str:
        return _KINDS.get(resource_type, "")

    def label(self, resource_type: str, path: str) -> str:
        return _LABELS.get(path, "")

    def text(self, resource_type: str, path: str, value: Any) -> str:
        write = _TEXTS.get(path)
        try:
            return write(value) if write else ""
        except (AttributeError, KeyError, TypeError, ValueError):
            return ""


def _own_name(resource_id: str) -> str:
    return resource_id.rpartition("/")[2]


def in_parts(resources: Sequence[Resource]) -> list[Resource]:
    """Return the resources with the container of a new app in parts, instead of one long list."""
    return [each._replace(diff=[part for item in each.diff for part in _parts(item)]) for each in resources]


def _parts(item: Difference) -> Iterator[Difference]:
    """Yield what users have set in the container. Probes and mounts are always the same."""
    if item.path == "template.volumes" and isinstance(item.new, list) and item.old is None:
        files = [each["path"] for volume in item.new for each in volume["secrets"]]
        yield Difference(item.path, None, files, label=_LABELS[item.path], new_text=", ".join(files))
        return
    if item.path != "template.containers" or item.old is not None or not isinstance(item.new, list):
        yield item
        return
    (container,) = item.new
    shown = {
        "image": container["image"],
        "args": container["args"],
        "env": {each["name"]: each.get("value", "from Key Vault") for each in container["env"]},
        "resources.cpu": container["resources"]["cpu"],
        "resources.memory": container["resources"]["memory"],
    }
    display = ContainerAppsDisplay()
    for name, value in shown.items():
        path = f"template.containers[0].{name}"
        text = display.text(ids.CONTAINER_APP, path, value)
        yield Difference(path, None, value, label=display.label(ids.CONTAINER_APP, path), new_text=text)


_TEXTS: Mapping[str, Callable[[Any], str]] = {
    "identity.userAssignedIdentities": lambda value: (
        ", ".join(map(_own_name, value)) if isinstance(value, list) else ""
    ),
    "managedEnvironmentId": _own_name,
    "roleDefinitionId": lambda value: _ROLE_NAMES.get(_own_name(value), ""),
    "template.containers[0].args": shlex.join,
    "template.containers[0].env": lambda value: ", ".join(f"{name}={each}" for name, each in value.items()),
    "logs": lambda value: ", ".join(each["categoryGroup"] for each in value),
    "workloadProfiles": lambda value: ", ".join(each["name"] for each in value),
}
