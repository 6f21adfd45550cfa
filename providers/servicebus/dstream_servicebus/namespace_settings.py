"""The resource group and namespace that the settings ask for, and what the mode and the tier rule out. Pure."""

from __future__ import annotations

from dstream_stacks.properties import Tier
from dstream_stacks.spec import Namespace, ResourceGroup

from dstream.sdk.errors import ConfigError
from dstream_servicebus import limits
from dstream_servicebus.config import Config, either

_OF_A_NEW_NAMESPACE = (
    "premium_messaging_partitions",
    "zone_redundant",
    "minimum_tls_version",
    "public_network_access",
)
_OF_ARM_ONLY = (
    "create_resource_group",
    "create_namespace",
    "authorization_rules",
    "location",
    "tags",
    "capacity",
    "disable_local_auth",
    *_OF_A_NEW_NAMESPACE,
)
_OF_PREMIUM = ("capacity", "premium_messaging_partitions", "zone_redundant")


def check_mode(config: Config) -> None:
    """Raises ConfigError for settings that have no meaning in this mode."""
    if config.mode == "arm":
        return
    for name in _OF_ARM_ONLY:
        if getattr(config, name):
            raise ConfigError(
                "servicebus.not_in_mode",
                f'{name} needs Azure Resource Manager, which mode = "entities" does without',
                hint=f'Remove {name}, or set mode = "arm".',
                config_path=name,
            )
    if config.connection == "stack":
        raise ConfigError(
            "servicebus.not_in_mode",
            'connection = "stack" needs mode = "arm": only there does `dstream init` learn a connection string',
            hint="Set connection_string.",
            config_path="connection",
        )


def resource_group_of(config: Config) -> ResourceGroup | None:
    """None in mode entities. Raises ConfigError."""
    if config.mode == "entities":
        return None
    path = "resourceGroup" if config.original_resource_group is not None else "resource_group"
    name = either(config.resource_group, config.original_resource_group, "resource_group", "resourceGroup")
    if name is None:
        raise ConfigError(
            "servicebus.no_resource_group",
            "resource_group does not say where the namespace is",
            hint='Set resource_group, or mode = "entities" to work with a connection string alone.',
            config_path=path,
        )
    limits.check_resource_group_name(name, path)
    if config.create_resource_group:
        _check_location(config, "create_resource_group")
    return ResourceGroup(
        name=name,
        create=config.create_resource_group,
        location=config.location or "",
        protect=config.protect,
        retain_on_delete=config.retain_on_delete,
        import_=config.import_,
    )


def namespace_of(config: Config) -> Namespace | None:
    """In mode entities only its name, where it has one. Raises ConfigError."""
    name = _short_name(config.namespace) if config.namespace is not None else None
    if config.mode == "entities":
        return Namespace(name=name, tier=config.sku) if name is not None else None
    if name is None:
        raise ConfigError(
            "servicebus.no_namespace",
            "namespace does not say in which Service Bus namespace the entities are",
            hint='Set namespace, or mode = "entities" to work with a connection string alone.',
            config_path="namespace",
        )
    limits.check_namespace_name(name)
    _check_new_namespace(config)
    _check_premium(config)
    return Namespace(
        name=name,
        create=config.create_namespace,
        location=config.location or "",
        tier=tier_of(config),
        capacity=config.capacity,
        premium_messaging_partitions=config.premium_messaging_partitions,
        zone_redundant=config.zone_redundant,
        minimum_tls_version=config.minimum_tls_version,
        disable_local_auth=config.disable_local_auth,
        public_network_access=config.public_network_access,
        protect=config.protect,
        retain_on_delete=config.retain_on_delete,
        import_=config.import_,
    )


def tier_of(config: Config) -> Tier | None:
    """None for an existing namespace whose tier the settings do not tell."""
    return config.sku or ("Standard" if config.create_namespace else None)


def _check_new_namespace(config: Config) -> None:
    if config.create_namespace:
        _check_location(config, "create_namespace")
        return
    unused = [name for name in _OF_A_NEW_NAMESPACE if getattr(config, name) is not None]
    if config.tags and not config.create_resource_group:
        unused.append("tags")
    for name in unused:
        raise ConfigError(
            "servicebus.unused_setting",
            f"{name} is set on a namespace that is created, and this one is not",
            hint="Set create_namespace = true, or leave it out.",
            config_path=name,
        )
    if config.create_resource_group:
        raise ConfigError(
            "servicebus.unused_setting",
            "a new resource group has no namespace in it",
            hint="Set create_namespace = true beside create_resource_group.",
            config_path="create_resource_group",
        )


def _check_premium(config: Config) -> None:
    tier = tier_of(config)
    for name in _OF_PREMIUM:
        if tier in ("Basic", "Standard") and getattr(config, name):
            raise limits.not_in_tier(name, tier, name, 'Set sku = "Premium".')
    if config.disable_local_auth and config.connection == "stack":
        raise ConfigError(
            "servicebus.two_connections",
            'with disable_local_auth there is no connection string for connection = "stack"',
            hint="Sign in with a credential instead.",
            config_path="connection",
        )


def _check_location(config: Config, why: str) -> None:
    if not config.location:
        raise ConfigError(
            "servicebus.no_location",
            f"{why} needs a location",
            hint='Set location, such as "westeurope".',
            config_path="location",
        )


def _short_name(namespace: str) -> str:
    """`sb-orders` of `sb-orders.servicebus.windows.net`."""
    return namespace.removeprefix("sb://").partition(".")[0]
