"""What a deployment to Azure Container Apps consists of, as typed values. Pure.

`SharedSpec`: what all tasks of a deployment use. `AppSpec`: one task's container app with its identity and roles.
Role definitions: Microsoft, "Azure built-in roles".
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

RoleName = Literal[
    "Azure Service Bus Data Sender", "Storage Blob Data Contributor", "AcrPull", "Key Vault Secrets User"
]
ROLES: Final[Mapping[RoleName, str]] = {
    "Azure Service Bus Data Sender": "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39",
    "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "AcrPull": "7f951dda-4ed3-4680-a7ca-43fe172d538d",
    "Key Vault Secrets User": "4633458b-17de-408a-b874-0445c86b69e6",
}
CONFIGURATION_DIGEST: Final = "DSTREAM_CONFIGURATION_DIGEST"
"""The variable that changes with the configuration: a changed secret alone starts no new revision (Microsoft, "Manage
secrets in Azure Container Apps").
"""
METRICS_PORT: Final = 9100
CONFIGURATION_FOLDER: Final = "/dstream"


class _Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Omits fields with their default value from its JSON."""


class Workspace(_Value, frozen=True, kw_only=True):
    """The Log Analytics workspace: an existing one by `id`, or one to create."""

    name: str = ""
    id: str = ""


class StateStorage(_Value, frozen=True, kw_only=True):
    """The container of checkpoints."""

    account: str
    container: str


class SharedSpec(_Value, frozen=True, kw_only=True):
    subscription_id: str = ""
    """Empty: that of the credentials."""
    resource_group: str
    create_resource_group: bool = False
    location: str
    environment: str = ""
    """Empty: it exists already."""
    workspace: Workspace = Workspace()
    storage: StateStorage | None = None
    """None: it exists already, or the checkpoints are elsewhere."""
    tags: dict[str, str] = {}


class GrantedRole(_Value, frozen=True, kw_only=True):
    """A role of the task's identity."""

    role: RoleName
    scope: str
    """The id of a resource; below the deployment's subscription if it starts with `/resourceGroups/`."""


class AppSpec(_Value, frozen=True, kw_only=True):
    subscription_id: str = ""
    resource_group: str
    location: str
    environment: str
    """A name, or the id of an environment in another resource group."""
    name: str
    identity: str
    image: str
    registry: str = ""
    """The server to sign in to with the identity, such as `crretail.azurecr.io`; empty: the image is public."""
    cpu: float
    replicas: int
    args: tuple[str, ...]
    files: dict[str, str]
    """The configuration: texts by file name."""
    env: dict[str, str] = {}
    secrets: dict[str, str] = {}
    """URLs of secrets in Key Vault, by variable."""
    grants: tuple[GrantedRole, ...] = ()
    tags: dict[str, str] = {}


def as_document(spec: SharedSpec | AppSpec) -> dict[str, Any]:
    """Return the spec as JSON. It contains the configuration only as a digest, so that plans do not repeat it."""
    if isinstance(spec, AppSpec):
        spec = msgspec.structs.replace(spec, files={name: digest({name: text}) for name, text in spec.files.items()})
    document: dict[str, Any] = msgspec.to_builtins(spec)
    return document


def digest(files: Mapping[str, str]) -> str:
    return hashlib.sha256(msgspec.json.encode(files, order="sorted")).hexdigest()


def assignment_name(scope: str, identity_id: str, role: RoleName) -> str:
    """A GUID that depends only on what is granted to whom, so that every run finds the same role assignment."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "\n".join((scope, identity_id, role)).lower()))


def file_secret(name: str) -> str:
    """The name of the secret with a file: lower-case letters, digits and hyphens, and unique."""
    return f"file-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def secret_name(variable: str) -> str:
    """`MSSQL_CONNECTION_STRING` -> `mssql-connection-string`. Variables that differ only in case, or whose names would
    not start and end with a letter or digit as Azure requires (`ContainerAppInvalidSecretName`), get a hash.
    """
    name = variable.lower().replace("_", "-")
    if name.replace("-", "_").upper() == variable and name.strip("-") == name:
        return name
    return f"variable-{hashlib.sha256(variable.encode()).hexdigest()[:12]}"
