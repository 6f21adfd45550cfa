"""Finds the setting that declares a resource, for errors about the resource. Pure."""

from __future__ import annotations

from dstream_servicebus.config import Config

_ONE_EACH = {"ResourceGroup": "resource_group", "Namespace": "namespace"}
_ONLY = {"DiagnosticSetting": "log_analytics_workspace", "NamespaceNetworkRuleSet": "network_rules"}


def config_path_of(config: Config, resource_type: str, name: str) -> str:
    """The setting's path, such as `subscriptions[0]`; "" for a resource that the settings no longer declare."""
    kind = resource_type.rpartition(":")[2]
    if kind in _ONE_EACH:
        return _ONE_EACH[kind]
    if kind in ("Queue", "Topic"):
        return _entity(config, name)
    if kind == "Subscription":
        return _subscription(config, *name.rpartition("/")[::2])
    if kind in ("Rule", "DefaultRule"):
        return _rule(config, name)
    if kind in _ONLY:
        return _ONLY[kind]
    if kind in ("PrivateEndpoint", "PrivateDnsZoneGroup"):
        return _private_endpoint(config, name.partition("/")[0])
    if kind == "RoleAssignment":
        return _role_assignment(config, name)
    return _authorization_rule(config, name) if kind.endswith("AuthorizationRule") else ""


def protect_setting(config: Config, resource_type: str, name: str) -> str:
    """The setting that protects a resource from being deleted or replaced."""
    is_place = resource_type.rpartition(":")[2] in _ONE_EACH
    return "protect_namespace" if is_place and not config.protect else "protect"


def _private_endpoint(config: Config, name: str) -> str:
    for index, each in enumerate(config.private_endpoints or ()):
        if _same(each.name, name):
            return f"private_endpoints[{index}]"
    return ""


def _entity(config: Config, name: str) -> str:
    own = next((each for each in config.entities if _same(each, name)), None)
    if own is not None:
        return f"entities.{own}"
    return "queue" if config.queue is not None else "topic" if config.topic is not None else "tables"


def _subscription(config: Config, topic: str, name: str) -> str:
    for index, each in enumerate(config.subscriptions):
        if _same(each.name, name) and (not each.topics or any(_same(of, topic) for of in each.topics)):
            return f"subscriptions[{index}]"
    return ""


def _rule(config: Config, name: str) -> str:
    subscription, _, own_name = name.rpartition("/")
    found = _subscription(config, *subscription.rpartition("/")[::2])
    for index, each in enumerate(config.subscriptions):
        if found == f"subscriptions[{index}]":
            names = [rule.name.lower() for rule in each.rules]
            is_named = own_name.lower() in names
            return f"{found}.rules[{names.index(own_name.lower())}]" if is_named else found
    return ""


def _authorization_rule(config: Config, name: str) -> str:
    entity, _, own_name = name.rpartition("/")
    for index, each in enumerate(config.authorization_rules):
        if _same(each.name, own_name) and _same(each.entity or "", entity):
            return f"authorization_rules[{index}]"
    return ""


def _role_assignment(config: Config, name: str) -> str:
    scope, role, principal_id = name.rsplit("/", 2)
    entity, _, subscription = scope.partition("/")
    granted = "/".join((role, principal_id, subscription))
    for index, each in enumerate(config.role_assignments):
        own = "/".join((each.role, each.principal_id, each.subscription or ""))
        if _same(own, granted) and (each.entity is None or _same(each.entity, entity)):
            return f"role_assignments[{index}]"
    return ""


def _same(name: str, other: str) -> bool:
    return name.lower() == other.lower()
