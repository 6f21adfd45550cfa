"""Builds the spec of a queue or topic: common settings overridden by its own, plus DStream's defaults. Pure."""

from __future__ import annotations

from typing import Any

import msgspec
from dstream_stacks.entities import EntityKind
from dstream_stacks.properties import EntityType, properties_of
from dstream_stacks.spec import Queue, Subscription, Topic

from dstream.sdk.errors import ConfigError
from dstream_servicebus.config import Config
from dstream_servicebus.settings import limits
from dstream_servicebus.settings.ignored import ignored_paths
from dstream_servicebus.settings.infrastructure import EntitySettings, SubscriptionSettings
from dstream_servicebus.settings.messages import message_rules
from dstream_servicebus.specs.namespace import tier_of

DUPLICATE_WINDOW_S = 600.0
"""Azure's default, set explicitly so that plans show it; not in mode `entities`, since an emulator may refuse it."""


def queue_spec(config: Config, name: str) -> Queue:
    """Return the queue's spec. Raises ConfigError."""
    settings = _checked(config, "queue", name)
    return Queue(
        name=name,
        **spec_fields("queue", settings)
        | {"sessions": sessions(config, settings, path(config, name, "sessions"))}
        | _duplicate_detection(config, settings),
        **kept(config, settings),
        ignore_changes=ignored_paths(
            "queue", config.mode, settings.ignore_changes, path(config, name, "ignore_changes")
        ),
    )


def topic_spec(config: Config, name: str, subscriptions: tuple[Subscription, ...]) -> Topic:
    """Return the topic's spec. Raises ConfigError."""
    settings = _checked(config, "topic", name)
    return Topic(
        name=name,
        subscriptions=subscriptions,
        **spec_fields("topic", settings) | _duplicate_detection(config, settings),
        **kept(config, settings),
        ignore_changes=ignored_paths(
            "topic", config.mode, settings.ignore_changes, path(config, name, "ignore_changes")
        ),
    )


def subscription_fields(config: Config, settings: SubscriptionSettings, where: str) -> dict[str, Any]:
    """Return a subscription's fields, except its name and rules. Raises ConfigError."""
    limits.check_properties("subscription", settings, lambda name: f"{where}.{name}", tier_of(config), config.mode)
    return {
        **spec_fields("subscription", settings),
        "sessions": sessions(config, settings, f"{where}.sessions"),
        **kept(config, settings),
        "ignore_changes": ignored_paths(
            "subscription", config.mode, settings.ignore_changes, f"{where}.ignore_changes"
        ),
    }


def path(config: Config, name: str, setting: str) -> str:
    """The path of this entity's setting in the config."""
    own = config.entities.get(name)
    return (
        f"entities.{name}.{setting}" if own is not None and getattr(own, setting) is not None else f"entity.{setting}"
    )


def spec_fields(kind: EntityType, settings: EntitySettings | SubscriptionSettings) -> dict[str, Any]:
    """The fields of a spec for the settings of this kind that are set."""
    given = [(each, getattr(settings, each.name)) for each in properties_of(kind)]
    return {each.field: limits.spec_value(each.form, value) for each, value in given if value is not None}


def sessions(config: Config, settings: EntitySettings | SubscriptionSettings, where: str) -> bool | None:
    """The setting; by default, on if the task's messages have a session. Raises ConfigError if it is on but they have
    none.
    """
    if settings.sessions and config.session == "none":
        raise ConfigError(
            "servicebus.no_sessions_sent",
            "sessions is on, but the task sends messages without a session",
            hint='Set session, e.g. "table" or "key", or sessions = false.',
            config_path=where,
        )
    if settings.sessions is None and config.session != "none" and tier_of(config) != "Basic":
        return True
    return settings.sessions


def kept(config: Config, settings: EntitySettings | SubscriptionSettings) -> dict[str, Any]:
    """The entity's own protect, retain_on_delete and import, or else the output's."""
    names = ("protect", "retain_on_delete", "import_")
    own = {name: getattr(settings, name) for name in names}
    return {name: getattr(config, name) if own[name] is None else own[name] for name in names}


def _checked(config: Config, kind: EntityKind, name: str) -> EntitySettings:
    settings = _merged(config.entity, config.entities.get(name))

    def path_of(setting: str) -> str:
        return path(config, name, setting)

    limits.check_properties(kind, settings, path_of, tier_of(config), config.mode)
    limits.check_duplicate_detection(settings, path_of)
    limits.check_partitioning(settings, detects_duplicates(config, settings), path_of)
    if not message_rules(config).have_partition_keys:
        limits.check_partitions(config.premium_messaging_partitions, detects_duplicates(config, settings), path_of)
    return settings


def _merged(common: EntitySettings, own: EntitySettings | None) -> EntitySettings:
    if own is None:
        return common
    set_ = {name: value for name in own.__struct_fields__ if (value := getattr(own, name)) is not None}
    return msgspec.structs.replace(common, **set_)


def detects_duplicates(config: Config, settings: EntitySettings) -> bool | None:
    """The setting; by default, on if the tier supports it."""
    if settings.duplicate_detection is None and tier_of(config) != "Basic":
        return True
    return settings.duplicate_detection


def _duplicate_detection(config: Config, settings: EntitySettings) -> dict[str, Any]:
    """The setting; by default, on if the tier supports it, with an explicit window."""
    detect = detects_duplicates(config, settings)
    fields: dict[str, Any] = {"duplicate_detection": detect}
    if detect and config.mode == "arm" and settings.duplicate_detection_window is None:
        fields["duplicate_detection_window_s"] = DUPLICATE_WINDOW_S
    return fields
