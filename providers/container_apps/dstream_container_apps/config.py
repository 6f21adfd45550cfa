"""The settings of a deployment as users write them, and what `dstream deploy` adds.

Names are Azure's. Does not import azure, since it is imported before the provider's first line, and by `describe`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from dstream.sdk import identifier

_IDENTIFIER = identifier()
_Name = Annotated[str, _IDENTIFIER]
_VARIABLE = "^[A-Za-z_][A-Za-z0-9_]*$"


class Deployed(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What to deploy; set by `dstream deploy`, never in a file."""

    task: str = ""
    """Empty: what all tasks of the deployment use."""
    files: dict[str, str] = {}
    """The HCL files, by name."""
    config: str = ""
    """The file name of the configuration; empty: all files."""
    env: dict[str, str] = {}
    """Variables that the configuration needs, and that are set where the command runs."""
    arguments: list[str] = []
    """Options of `dstream run` that the configuration needs."""
    state_backend: str = "file"
    state_url: Annotated[str, _IDENTIFIER] = ""
    """Of the backend azblob."""
    output: str = ""
    """The output's provider."""
    output_config: Annotated[dict[str, Any], _IDENTIFIER] = {}
    """Its settings; secrets are masked."""


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The `config` block of a deployment."""

    subscription_id: Annotated[_Name | None, Meta(description="default: the subscription of the credentials")] = None
    resource_group: _Name
    create_resource_group: Annotated[bool, Meta(description="false: it exists already")] = False
    location: Annotated[_Name, Meta(description="the region, e.g. westeurope")]
    environment: Annotated[
        _Name, Meta(description="the Container Apps environment: a name, or the resource ID of an existing one")
    ]
    create_environment: Annotated[bool, Meta(description="false: use an existing environment")] = True
    log_analytics_workspace: Annotated[
        _Name | None, Meta(description="the resource ID of a workspace for the logs; default: one is created")
    ] = None
    create_storage_account: Annotated[
        bool, Meta(description="false: use the existing storage account and container in state.url")
    ] = True
    storage_resource_group: Annotated[
        _Name | None, Meta(description="the resource group of an existing storage account; default: resource_group")
    ] = None

    image: Annotated[_Name, Meta(description="the container image with its tag or digest")]
    registry: Annotated[
        _Name | None, Meta(description="the resource ID of the Azure Container Registry that the image is in")
    ] = None
    cpu: Annotated[float, Meta(description="cores, 0.25 to 4 in steps of 0.25; memory is 2 GiB per core")] = 0.5
    replicas: Annotated[Literal[1, 2], Meta(description="2: a standby takes over if the first replica dies")] = 1
    env: Annotated[
        dict[Annotated[str, Meta(pattern=_VARIABLE)], str], Meta(description="environment variables; no secrets")
    ] = {}
    secrets: Annotated[
        dict[Annotated[str, Meta(pattern=_VARIABLE)], str],
        Meta(description="environment variables from Key Vault: azurekeyvault://VAULT/NAME"),
    ] = {}
    vault: Annotated[
        _Name | None,
        Meta(description="the resource ID of the key vault of the secrets; the identity gets the role to read them"),
    ] = None
    tags: dict[str, str] = {}

    deployed: Annotated[Deployed | None, Meta(description="set by dstream deploy")] = None
