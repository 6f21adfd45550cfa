"""Builds the spec to provision from the settings, and checks the settings before anything changes.

Pure. The queues and topics are those that the publisher sends to (`entity_names`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
from dstream_stacks.capacity import Load
from dstream_stacks.declarations import forwarding_order
from dstream_stacks.entities import EntityKind, EntityNames
from dstream_stacks.naming import is_entity_name
from dstream_stacks.spec import AuthorizationRule, Queue, ServiceBusSpec

from dstream.sdk.errors import ConfigError
from dstream_servicebus.access import publishes_with_key
from dstream_servicebus.config import Config, entity_names
from dstream_servicebus.settings import limits
from dstream_servicebus.settings.infrastructure import AuthorizationRuleSettings
from dstream_servicebus.specs.entities import path, queue_spec, topic_spec
from dstream_servicebus.specs.namespace import check_mode, namespace_of, resource_group_of, tier_of
from dstream_servicebus.specs.role_assignments import role_assignments
from dstream_servicebus.specs.subscriptions import subscription_specs

_PUBLISHER = "dstream-send"
_KNOWN_FIELDS = frozenset({"table", "source_host", "source_database"})


def place_of(config: Config) -> ServiceBusSpec:
    """Return the spec without entities: enough to inspect or delete recorded resources, even with errors in the other
    settings. Raises ConfigError.
    """
    check_mode(config)
    if config.subscription_id is not None:
        limits.check_subscription_id(config.subscription_id)
    return ServiceBusSpec(
        mode=config.mode,
        subscription_id=config.subscription_id or "",
        resource_group=resource_group_of(config),
        namespace=namespace_of(config),
    )


def spec_of(config: Config, *, import_existing: bool = False) -> ServiceBusSpec:
    """Return the spec of the task's output. `import_existing`: import existing resources. Raises ConfigError."""
    kind, names = _entities(config)
    rules = _authorization_rules(config, kind, names)
    publisher = _publisher(rules, kind, names) if publishes_with_key(config) else None
    if publisher and publisher not in rules:
        rules = (*rules, publisher)
        limits.check_rule_count(len(rules), names[0])
    return msgspec.structs.replace(
        place_of(config),
        queues=_queues(config, names) if kind == "queue" else (),
        topics=tuple(topic_spec(config, name, subscription_specs(config, name)) for name in names if kind == "topic"),
        authorization_rules=rules,
        publisher=publisher,
        role_assignments=role_assignments(config, kind, names),
        tags=config.tags,
        import_existing=config.import_ or import_existing,
    )


def expected_load(config: Config) -> Load | None:
    """Return the expected load, or None if it is not set."""
    if config.expected_rate is None:
        return None
    rows_per_message = config.packing.rows_per_message if config.packing else 1
    return Load(config.expected_rate, config.expected_row_size, rows_per_message)


def _entities(config: Config) -> tuple[EntityKind, Sequence[str]]:
    """Return the kind and names of the task's entities. Raises ConfigError."""
    entities = entity_names(config)
    names = entities.known() or tuple(config.entities)
    setting = "queue" if config.queue is not None else "topic" if config.topic is not None else "tables"
    if not names:
        raise _name_not_known(entities, setting)
    for name in config.entities:
        limits.check_known(name, names, f"entities.{name}")
        if not is_entity_name(name) or (config.mode == "arm" and "/" in name):
            raise _bad_entity_name(name, f"entities.{name}")
    for name in names:
        if config.mode == "arm" and "/" in name:
            raise _bad_entity_name(name, setting)
    limits.check_different(((name, setting) for name in names), f"{entities.kind}s")
    if entities.kind == "topic" and tier_of(config) == "Basic":
        raise limits.not_in_tier("topics", "Basic", "topic")
    if entities.kind == "queue" and config.subscriptions:
        raise ConfigError(
            "servicebus.not_of_kind",
            "a queue has no subscriptions",
            hint="Set topic instead of queue, or remove subscriptions.",
            config_path="subscriptions",
        )
    for index, subscription in enumerate(config.subscriptions):
        for name in subscription.topics:
            limits.check_known(name, names, f"subscriptions[{index}].topics")
    return entities.kind, names


def _queues(config: Config, names: Sequence[str]) -> tuple[Queue, ...]:
    queues = tuple(queue_spec(config, name) for name in names)
    try:
        forwarding_order(queues)
    except ValueError as error:
        first = str(error).partition(" -> ")[0]
        raise ConfigError(
            "servicebus.forward_circle",
            f"queues forward to each other in a cycle: {error}",
            config_path=path(config, first, "forward_to"),
        ) from error
    return queues


def _authorization_rules(config: Config, kind: EntityKind, names: Sequence[str]) -> tuple[AuthorizationRule, ...]:
    rules = [
        _authorization_rule(settings, kind, names, f"authorization_rules[{index}]")
        for index, settings in enumerate(config.authorization_rules)
    ]
    labels = [f"{rule.queue or rule.topic}/{rule.name}" for rule in rules]
    limits.check_different(((label, "authorization_rules") for label in labels), "authorization rules")
    for entity, count in Counter(rule.queue or rule.topic for rule in rules).items():
        limits.check_rule_count(count, entity)
    return tuple(rules)


def _publisher(rules: Sequence[AuthorizationRule], kind: EntityKind, names: Sequence[str]) -> AuthorizationRule:
    """Return the rule for `connection = "stack"`: one that can do nothing but send, to all of the task's entities.

    By default a new one, if there is only one entity: a rule of the namespace would be shared with other tasks.
    """
    only = names[0] if len(names) == 1 else None
    for rule in rules:
        entity = rule.queue or rule.topic
        if rule.rights == ("Send",) and entity in ("", only):
            return rule
    if only is None:
        raise ConfigError(
            "servicebus.no_publisher",
            f'connection = "stack" needs an authorization rule for all {len(names)} {kind}s that can only send',
            hint='Add one to the namespace: authorization_rules = [{ name = "NAME", rights = ["Send"] }].',
            config_path="connection",
        )
    return AuthorizationRule(
        name=_PUBLISHER, rights=("Send",), queue=only if kind == "queue" else "", topic=only if kind == "topic" else ""
    )


def _authorization_rule(
    settings: AuthorizationRuleSettings, kind: EntityKind, names: Sequence[str], where: str
) -> AuthorizationRule:
    limits.check_short_name(settings.name, "authorization rule", f"{where}.name")
    limits.check_rights(settings.rights, f"{where}.rights")
    if settings.entity is not None:
        limits.check_known(settings.entity, names, f"{where}.entity")
    return AuthorizationRule(
        name=settings.name,
        rights=tuple(sorted(set(settings.rights))),  # Azure's order
        queue=(settings.entity or "") if kind == "queue" else "",
        topic=(settings.entity or "") if kind == "topic" else "",
    )


def _name_not_known(entities: EntityNames, setting: str) -> ConfigError:
    other = sorted(entities.name.fields - _KNOWN_FIELDS)
    hint = (
        'Name them: entities = { "orders-insert" = {} }.'
        if other
        else 'List the tables: tables = ["dbo.Orders"], or name the entities: entities = { "orders" = {} }.'
    )
    needs = f"{', '.join(other)} of each event" if other else "tables"
    return ConfigError(
        "servicebus.name_not_known",
        f'cannot determine the {entities.kind}s of "{entities.name.text}" without {needs}',
        hint=hint,
        config_path=setting,
    )


def _bad_entity_name(name: str, where: str) -> ConfigError:
    return ConfigError(
        "servicebus.bad_entity_name",
        f'"{name}" is not a valid entity name',
        hint='Use letters, digits and . - _, starting and ending with a letter or digit; / only in mode = "entities".',
        config_path=where,
    )
