"""The resource group and namespace from the settings, and checks for settings that the mode or tier excludes. Pure."""

from __future__ import annotations

from dstream_stacks.ignorable import ignores
from dstream_stacks.properties import Tier
from dstream_stacks.spec import CustomerManagedKey, Namespace, NetworkRules, PrivateEndpoint, ResourceGroup

from dstream.sdk.errors import ConfigError
from dstream_servicebus.access import publishes_with_key
from dstream_servicebus.config import Config, either
from dstream_servicebus.output_secret import parsed
from dstream_servicebus.settings import limits
from dstream_servicebus.settings.ignored import ignored_paths

_OF_A_NEW_NAMESPACE = (
    "premium_messaging_partitions",
    "zone_redundant",
    "minimum_tls_version",
    "public_network_access",
    "network_rules",
    "private_endpoints",
    "customer_managed_key",
    "log_analytics_workspace",
    "ignore_changes",
)
_OF_ARM_ONLY = (
    "create_resource_group",
    "create_namespace",
    "authorization_rules",
    "role_assignments",
    "location",
    "tags",
    "capacity",
    "disable_local_auth",
    *_OF_A_NEW_NAMESPACE,
)
_OF_PREMIUM = (
    "capacity",
    "premium_messaging_partitions",
    "zone_redundant",
    "customer_managed_key",
    "private_endpoints",
    "network_rules.subnets",
    "network_rules.trusted_services",
)
"""IP rules work in other tiers, too (Microsoft: "Configure IP firewall rules for Azure Service Bus", important points).
"""


def check_mode(config: Config) -> None:
    """Raise ConfigError for settings that do not apply in this mode."""
    check_output_secret(config)
    if config.mode == "arm":
        return
    for name in _OF_ARM_ONLY:
        if getattr(config, name):
            raise ConfigError(
                "servicebus.not_in_mode",
                f'{name} needs Azure Resource Manager, which mode = "entities" does not use',
                hint=f'Remove {name}, or set mode = "arm".',
                config_path=name,
            )
    if config.connection == "stack":
        raise ConfigError(
            "servicebus.not_in_mode",
            'connection = "stack" needs mode = "arm": in mode "entities", `dstream init` creates no connection string',
            hint="Set connection_string.",
            config_path="connection",
        )


def check_output_secret(config: Config) -> None:
    """Raise ConfigError if `output_secret` is invalid or has no effect."""
    if config.output_secret is None:
        return
    parsed(config.output_secret)
    if not publishes_with_key(config):
        raise ConfigError(
            "servicebus.unused_setting",
            "output_secret has no effect without the stack's connection string",
            hint='Set connection = "stack", without credential and disable_local_auth.',
            config_path="output_secret",
        )


def resource_group_of(config: Config) -> ResourceGroup | None:
    """Return the group, or None in mode entities. Raises ConfigError."""
    if config.mode == "entities":
        return None
    path = "resourceGroup" if config.original_resource_group is not None else "resource_group"
    name = either(config.resource_group, config.original_resource_group, "resource_group", "resourceGroup")
    if name is None:
        raise ConfigError(
            "servicebus.no_resource_group",
            "resource_group is required in mode arm",
            hint='Set resource_group, or mode = "entities" to use only a connection string.',
            config_path=path,
        )
    limits.check_resource_group_name(name, path)
    if config.create_resource_group:
        _check_location(config, "create_resource_group")
    return ResourceGroup(
        name=name,
        create=config.create_resource_group,
        location=config.location or "",
        protect=config.protect or (config.create_resource_group and config.protect_namespace),
        retain_on_delete=config.retain_on_delete,
        import_=config.import_,
        ignore_changes=tuple(path for path in _ignored(config) if ignores(["tags"], path)),
    )


def namespace_of(config: Config) -> Namespace | None:
    """Return the namespace; in mode entities only its name and tier, or None without a name. Raises ConfigError."""
    name = _short_name(config.namespace) if config.namespace is not None else None
    if config.mode == "entities":
        return Namespace(name=name, tier=config.sku) if name is not None else None
    if name is None:
        raise ConfigError(
            "servicebus.no_namespace",
            "namespace is required in mode arm",
            hint='Set namespace, or mode = "entities" to use only a connection string.',
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
        network_rules=_network_rules(config),
        private_endpoints=_private_endpoints(config),
        customer_managed_key=_customer_managed_key(config),
        log_analytics_workspace=_workspace(config),
        protect=config.protect or (config.create_namespace and config.protect_namespace),
        retain_on_delete=config.retain_on_delete,
        import_=config.import_,
        ignore_changes=_ignored(config),
    )


def tier_of(config: Config) -> Tier | None:
    """Return the tier, or None for an existing namespace without sku."""
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
            f"{name} only applies to a namespace that DStream creates",
            hint=f"Set create_namespace = true, or remove {name}.",
            config_path=name,
        )
    if config.create_resource_group:
        raise ConfigError(
            "servicebus.unused_setting",
            "create_resource_group needs create_namespace: a new resource group contains no namespace",
            hint="Set create_namespace = true.",
            config_path="create_resource_group",
        )


def _check_premium(config: Config) -> None:
    tier = tier_of(config)
    for name in _OF_PREMIUM:
        if tier in ("Basic", "Standard") and _setting(config, name):
            raise limits.not_in_tier(name, tier, name, 'Set sku = "Premium".')


def _setting(config: Config, path: str) -> object:
    outer, _, inner = path.partition(".")
    value = getattr(config, outer)
    return getattr(value, inner) if inner and value is not None else value


def _network_rules(config: Config) -> NetworkRules | None:
    settings = config.network_rules
    if settings is None:
        return None
    for name in settings.ip_rules:
        limits.check_ip_rule(name, "network_rules.ip_rules")
    for name in settings.subnets:
        limits.check_subnet_id(name, "network_rules.subnets")
    return NetworkRules(
        ip_rules=tuple(settings.ip_rules),
        subnets=tuple(settings.subnets),
        trusted_services=settings.trusted_services,
    )


def _private_endpoints(config: Config) -> tuple[PrivateEndpoint, ...]:
    found = []
    for index, each in enumerate(config.private_endpoints or ()):
        where = f"private_endpoints[{index}]"
        limits.check_private_endpoint_name(each.name, f"{where}.name")
        limits.check_subnet_id(each.subnet, f"{where}.subnet")
        if each.dns_zone is not None:
            limits.check_dns_zone_id(each.dns_zone, f"{where}.dns_zone")
        found.append(
            PrivateEndpoint(
                name=each.name, subnet=each.subnet, location=each.location or "", dns_zone=each.dns_zone or ""
            )
        )
    limits.check_different(((each.name, "private_endpoints") for each in found), "private endpoints")
    return tuple(found)


def _ignored(config: Config) -> tuple[str, ...]:
    return ignored_paths("namespace", config.mode, config.ignore_changes, "ignore_changes")


def _customer_managed_key(config: Config) -> CustomerManagedKey | None:
    settings = config.customer_managed_key
    if settings is None:
        return None
    vault, name, version = limits.key_parts(settings.key, "customer_managed_key.key")
    limits.check_identity_id(settings.identity, "customer_managed_key.identity")
    return CustomerManagedKey(vault=vault, name=name, version=version, identity=settings.identity)


def _workspace(config: Config) -> str:
    if config.log_analytics_workspace is not None:
        limits.check_workspace_id(config.log_analytics_workspace, "log_analytics_workspace")
    return config.log_analytics_workspace or ""


def _check_location(config: Config, why: str) -> None:
    if not config.location:
        raise ConfigError(
            "servicebus.no_location",
            f"{why} needs a location",
            hint='Set location, e.g. "westeurope".',
            config_path="location",
        )


def _short_name(namespace: str) -> str:
    """`sb-orders` of `sb-orders.servicebus.windows.net`."""
    return namespace.removeprefix("sb://").partition(".")[0]
