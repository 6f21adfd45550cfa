"""From settings to what is deployed. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
from dstream_stacks.container_apps import (
    CONFIGURATION_DIGEST,
    CONFIGURATION_FOLDER,
    METRICS_PORT,
    AppSpec,
    GrantedRole,
    SharedSpec,
    StateStorage,
    Workspace,
)
from dstream_stacks.naming import kebab

from dstream.key_vault.secret import KeyVaultSecret
from dstream.sdk import Claim
from dstream.sdk.errors import ConfigError
from dstream_container_apps.config import Config, Deployed

_APP_NAME = re.compile(r"[a-z](?:[a-z0-9]|-(?!-)){0,30}[a-z0-9]")
"""Microsoft, "Naming rules and restrictions for Azure resources", Microsoft.App/containerApps."""
_REGISTRY = re.compile(
    r"/subscriptions/[^/]+/.+/providers/Microsoft\.ContainerRegistry/registries/([^/]+)", re.IGNORECASE
)
_VAULT = re.compile(r"/subscriptions/[^/]+/.+/providers/Microsoft\.KeyVault/vaults/([^/]+)", re.IGNORECASE)
_READ = re.compile(r'\benv\(\s*"([^"$]+)"\s*\)')
_LEAST_CPU, _MOST_CPU = 0.25, 4.0
"""Also the step (Microsoft, "Containers in Azure Container Apps", Allocations, of the profile Consumption)."""
_LASTING = ("azblob", "postgres", "mssql")


def check(config: Config) -> None:
    """Raise ConfigError for settings that Azure would refuse, whatever is deployed."""
    if not _LEAST_CPU <= config.cpu <= _MOST_CPU or config.cpu % _LEAST_CPU:
        raise ConfigError(
            "container_apps.bad_cpu",
            f"cpu is {config.cpu:g}; Container Apps has 0.25 to 4 cores, in steps of 0.25",
            config_path="cpu",
        )
    if config.create_environment and "/" in config.environment:
        raise ConfigError(
            "container_apps.created_id",
            "environment is an id, but one that is created has a name",
            hint="Set create_environment = false if it exists, or use a name.",
            config_path="environment",
        )
    _registry_server(config)
    _secret_urls(config)
    for setting, names in (("env", config.env), ("secrets", config.secrets)):
        if CONFIGURATION_DIGEST in names:
            raise ConfigError(
                "container_apps.set_twice",
                f"{CONFIGURATION_DIGEST} is set by `dstream deploy`",
                hint=f"Remove it from {setting}.",
                config_path=f"{setting}.{CONFIGURATION_DIGEST}",
            )


def claims_of(config: Config) -> list[Claim]:
    """Return the container app of the task, whose name tasks such as `EuOrders` and `eu_orders` share."""
    if config.deployed is None or not config.deployed.task:
        return []
    name = f"{kebab(config.deployed.task)} in {config.resource_group}"
    return [Claim(name.lower(), f"container app {name}")]


def with_recorded_case(config: Config, recorded: Iterable[Mapping[str, Any]]) -> Config:
    """Return the settings with the recorded spelling of the resource group and the environment. Names in Azure ignore
    case, but the engine would replace everything in them. `recorded`: the inputs of the resources.
    """
    groups: dict[str, str] = {}
    environments: dict[str, str] = {}
    for each in recorded:
        if group := each.get("resourceGroupName"):
            groups[group.lower()] = group
        if environment := each.get("environmentName") or each.get("managedEnvironmentId"):
            own = environment.rpartition("/")[2]
            environments |= {environment.lower(): environment, own.lower(): own}
    return msgspec.structs.replace(
        config,
        resource_group=groups.get(config.resource_group.lower(), config.resource_group),
        environment=environments.get(config.environment.lower(), config.environment),
    )


def shared_spec(config: Config, deployed: Deployed) -> SharedSpec:
    """Return what all tasks of the deployment use. Raises ConfigError."""
    workspace = (
        Workspace(name=f"log-{config.environment}")
        if not config.log_analytics_workspace
        else Workspace(id=config.log_analytics_workspace)
    )
    return SharedSpec(
        subscription_id=config.subscription_id or "",
        resource_group=config.resource_group,
        create_resource_group=config.create_resource_group,
        location=config.location,
        environment=config.environment if config.create_environment else "",
        workspace=workspace,
        storage=state_storage(deployed) if config.create_storage_account else None,
        tags=config.tags,
    )


def app_spec(config: Config, deployed: Deployed) -> AppSpec:
    """Return the container app of a task. Raises ConfigError."""
    name = kebab(deployed.task)
    if not _APP_NAME.fullmatch(name):
        raise ConfigError(
            "container_apps.bad_name",
            f'"{name}" is not a valid name of a container app',
            hint="Rename the task: 2 to 32 letters, digits and single hyphens, starting with a letter.",
        )
    _refuse_dead_letter_file(deployed)
    where = f"{CONFIGURATION_FOLDER}/{deployed.config}" if deployed.config else CONFIGURATION_FOLDER
    options = ("--standby", "--metrics", f"0.0.0.0:{METRICS_PORT}", "--log-format", "json")
    return AppSpec(
        subscription_id=config.subscription_id or "",
        resource_group=config.resource_group,
        location=config.location,
        environment=config.environment,
        name=name,
        identity=f"id-{name}",
        image=config.image,
        registry=_registry_server(config),
        cpu=config.cpu,
        replicas=config.replicas,
        args=("run", deployed.task, "--config", where, *options, *deployed.arguments),
        files=deployed.files,
        env={**deployed.env, **config.env},
        secrets=_secret_urls(config),
        grants=tuple(_grants(config, deployed)),
        tags=config.tags,
    )


def state_storage(deployed: Deployed) -> StateStorage | None:
    """Return the account and container in `state.url`; None for checkpoints in a database. Raises ConfigError."""
    if deployed.state_backend not in _LASTING:
        raise ConfigError(
            "container_apps.state_backend",
            f'the state backend "{deployed.state_backend}" stores checkpoints in a folder, and a container app loses '
            "its folders when it restarts",
            hint='Set backend = "azblob" and url in the state block.',
        )
    if deployed.state_backend != "azblob":
        return None
    url = urlsplit(deployed.state_url)
    account, _, service = (url.hostname or "").partition(".")
    container = url.path.strip("/")
    if not service.startswith("blob.") or not container or "/" in container or url.query:
        raise ConfigError(
            "container_apps.state_url",
            f'"{deployed.state_url.partition("?")[0]}" is not the URL of a container without a SAS',
            hint="Use https://ACCOUNT.blob.core.windows.net/CONTAINER; the app signs in with its identity.",
        )
    return StateStorage(account=account, container=container)


def _refuse_dead_letter_file(deployed: Deployed) -> None:
    place = deployed.output_config.get("dead_letter")
    if deployed.output == "servicebus" and isinstance(place, dict) and place.get("file"):
        raise ConfigError(
            "container_apps.dead_letter_file",
            f"{deployed.task} keeps rows that cannot be delivered in a file, and a container app loses its files "
            "when it restarts",
            hint="Set queue in dead_letter instead of file.",
        )


def unset_variables(config: Config, deployed: Deployed) -> list[str]:
    """Return the variables that the files read without a default, and that the container will not have."""
    read = {name for text in deployed.files.values() for name in _READ.findall(text)}
    return sorted(read - {*config.env, *config.secrets, *deployed.env})


def _grants(config: Config, deployed: Deployed) -> Iterator[GrantedRole]:
    if storage := state_storage(deployed):
        group = (None if config.create_storage_account else config.storage_resource_group) or config.resource_group
        account = f"/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{storage.account}"
        yield GrantedRole(
            role="Storage Blob Data Contributor",
            scope=f"{account}/blobServices/default/containers/{storage.container}",
        )
    if scope := _destination(config, deployed):
        yield GrantedRole(role="Azure Service Bus Data Sender", scope=scope)
    if config.registry:
        yield GrantedRole(role="AcrPull", scope=config.registry)
    if config.vault:
        yield GrantedRole(role="Key Vault Secrets User", scope=config.vault)


def _destination(config: Config, deployed: Deployed) -> str:
    """Return the queue, topic or namespace that the output publishes to with Entra ID; empty for other outputs, and for
    those that use a key. Raises ConfigError for a key that only the Pulumi engine can read.
    """
    settings = deployed.output_config
    if deployed.output != "servicebus" or settings.get("connection_string"):
        return ""
    if settings.get("connection") == "stack":
        if settings.get("output_secret"):
            return ""
        raise ConfigError(
            "container_apps.needs_engine",
            f'the output of {deployed.task} has connection = "stack", which needs the Pulumi engine, and the image has '
            "none",
            hint='Remove connection = "stack": the output then signs in with the identity of the app. Or set '
            "output_secret.",
        )
    namespace = str(settings.get("namespace", "")).partition(".")[0]
    if not namespace:
        return ""
    group = settings.get("resource_group") or config.resource_group
    scope = f"/resourceGroups/{group}/providers/Microsoft.ServiceBus/namespaces/{namespace}"
    for kind in ("queue", "topic"):
        entity = settings.get(kind)
        if entity and "{" not in entity and not settings.get("dead_letter"):
            # Azure Resource Manager has tildes where names have slashes (Azure/azure-libraries-for-net, issue 462).
            return f"{scope}/{kind}s/{entity.replace('/', '~')}"
    return scope


def _registry_server(config: Config) -> str:
    if not config.registry:
        return ""
    match = _REGISTRY.fullmatch(config.registry)
    if match is None:
        raise ConfigError(
            "container_apps.bad_id",
            "registry is not the resource ID of an Azure Container Registry",
            hint="Use /subscriptions/../resourceGroups/../providers/Microsoft.ContainerRegistry/registries/NAME.",
            config_path="registry",
        )
    server = config.image.partition("/")[0].lower()
    if not server.startswith(f"{match[1].lower()}."):
        raise ConfigError(
            "container_apps.other_registry",
            f"the image is not in the registry {match[1]}",
            hint="Set registry to the registry of the image, or remove it if the image is public.",
            config_path="image",
        )
    return server


def _secret_urls(config: Config) -> dict[str, str]:
    """Return the URLs of the secrets, by variable: without a version, Container Apps follows the newest one (Microsoft,
    "Manage secrets in Azure Container Apps")."""
    if config.vault and not _VAULT.fullmatch(config.vault):
        raise ConfigError(
            "container_apps.bad_id",
            "vault is not the resource ID of a key vault",
            hint="Use /subscriptions/../resourceGroups/../providers/Microsoft.KeyVault/vaults/NAME.",
            config_path="vault",
        )
    urls = {}
    for name, reference in config.secrets.items():
        scheme, _, path = reference.partition("://")
        secret = KeyVaultSecret.parse(path)
        if secret is None or scheme != "azurekeyvault":
            raise ConfigError(
                "container_apps.not_a_reference",
                f"secrets.{name} is not a reference to a secret in Key Vault",
                hint="Use azurekeyvault://VAULT/NAME; the value stays in the vault.",
                config_path=f"secrets.{name}",
            )
        if name in config.env:
            raise ConfigError(
                "container_apps.set_twice",
                f"{name} is both in env and in secrets",
                hint="Remove it from one of them.",
                config_path=f"env.{name}",
            )
        urls[name] = "/".join([f"https://{secret.host}/secrets/{secret.name}", *filter(None, [secret.version])])
    return urls
