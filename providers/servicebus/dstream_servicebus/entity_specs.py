"""A queue or topic of the task as its spec: common settings, its own on top, and DStream's defaults. Pure."""

from __future__ import annotations

from typing import Any

import msgspec
from dstream_stacks.entities import EntityKind
from dstream_stacks.spec import Queue, Subscription, Topic

from dstream.sdk import Duration
from dstream.sdk.errors import ConfigError
from dstream_servicebus import limits
from dstream_servicebus.config import Config
from dstream_servicebus.infrastructure_settings import EntitySettings, SubscriptionSettings
from dstream_servicebus.namespace_settings import tier_of

DUPLICATE_WINDOW_S = 600.0
"""Azure's own default, written down so that a plan shows it. An emulator may allow less: there it is left to it."""

_OF_ANY = ("default_time_to_live", "auto_delete_on_idle", "batched_operations", "user_metadata")
_OF_RECEIVED_FROM = (
    "lock_duration",
    "max_delivery_count",
    "dead_letter_expired",
    "forward_to",
    "forward_dead_lettered_to",
)


def queue_spec(config: Config, name: str) -> Queue:
    """Raises ConfigError."""
    settings = _checked(config, "queue", name)
    return Queue(
        name=name,
        sessions=sessions(config, settings, path(config, name, "sessions")),
        **spec_fields(settings, *_OF_ANY, *_OF_RECEIVED_FROM),
        **_published_to(config, settings),
        **kept(config, settings),
    )


def topic_spec(config: Config, name: str, subscriptions: tuple[Subscription, ...]) -> Topic:
    """Raises ConfigError."""
    settings = _checked(config, "topic", name)
    return Topic(
        name=name,
        subscriptions=subscriptions,
        **spec_fields(settings, *_OF_ANY, "support_ordering"),
        **_published_to(config, settings),
        **kept(config, settings),
    )


def subscription_fields(config: Config, settings: SubscriptionSettings, where: str) -> dict[str, Any]:
    """What a subscription has of the same; without name and rules. Raises ConfigError."""
    limits.check_times(settings, lambda name: f"{where}.{name}", config.mode)
    return {
        "sessions": sessions(config, settings, f"{where}.sessions"),
        **spec_fields(settings, *_OF_ANY, *_OF_RECEIVED_FROM, "dead_letter_filter_errors"),
        **kept(config, settings),
    }


def path(config: Config, name: str, setting: str) -> str:
    """Where this setting of this entity stands in the config."""
    own = config.entities.get(name)
    return (
        f"entities.{name}.{setting}" if own is not None and getattr(own, setting) is not None else f"entity.{setting}"
    )


def spec_fields(settings: msgspec.Struct, *names: str) -> dict[str, Any]:
    """These settings as a spec has them: durations in seconds."""
    fields: dict[str, Any] = {}
    for name in names:
        value = getattr(settings, name)
        fields |= {f"{name}_s": float(value)} if isinstance(value, Duration) else {} if value is None else {name: value}
    return fields


def sessions(config: Config, settings: EntitySettings | SubscriptionSettings, where: str) -> bool | None:
    """As the messages are: in sessions when they have a session id. Raises ConfigError when they could not get in."""
    if settings.sessions and config.session == "none":
        raise ConfigError(
            "servicebus.no_sessions_sent",
            "it takes messages in sessions only, and the task sends them without",
            hint='Set session, such as "table" or "key", or sessions = false.',
            config_path=where,
        )
    if settings.sessions is None and config.session != "none" and tier_of(config) != "Basic":
        return True
    return settings.sessions


def kept(config: Config, settings: EntitySettings | SubscriptionSettings) -> dict[str, Any]:
    """Its own words on protect, retain_on_delete and import, else those of the whole output."""
    names = ("protect", "retain_on_delete", "import_")
    own = {name: getattr(settings, name) for name in names}
    return {name: getattr(config, name) if own[name] is None else own[name] for name in names}


def _checked(config: Config, kind: EntityKind, name: str) -> EntitySettings:
    settings = _merged(config.entity, config.entities.get(name))
    limits.check_entity(
        kind, settings, lambda setting: path(config, name, setting), tier=tier_of(config), mode=config.mode
    )
    return settings


def _merged(common: EntitySettings, own: EntitySettings | None) -> EntitySettings:
    if own is None:
        return common
    set_ = {name: value for name in own.__struct_fields__ if (value := getattr(own, name)) is not None}
    return msgspec.structs.replace(common, **set_)


def _published_to(config: Config, settings: EntitySettings) -> dict[str, Any]:
    fields = spec_fields(settings, "duplicate_detection", "duplicate_detection_window", "partitioning")
    if settings.duplicate_detection is None and tier_of(config) != "Basic":
        fields["duplicate_detection"] = True
    if fields.get("duplicate_detection") and config.mode == "arm":
        fields.setdefault("duplicate_detection_window_s", DUPLICATE_WINDOW_S)
    if settings.max_size is not None:
        fields["max_size_mb"] = limits.size_in_mb(settings.max_size)
    if settings.max_message_size is not None:
        fields["max_message_size_kb"] = limits.size_in_kb(settings.max_message_size)
    return fields
