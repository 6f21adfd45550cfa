"""What Service Bus will refuse, told before anything moves. Pure; each check raises ConfigError with its path.

Sources: Microsoft, "Service Bus quotas", "Naming rules and restrictions for Azure resources" (Microsoft.ServiceBus,
Microsoft.Resources), "Service Bus Premium and Standard messaging tiers", "Duplicate detection". In mode `entities`
the service may be an emulator with narrower ranges: there it judges sizes and times itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from dstream_stacks.entities import EntityKind
from dstream_stacks.spec import Mode, Right, Tier

from dstream.sdk import Size
from dstream.sdk.errors import ConfigError
from dstream_servicebus.infrastructure_settings import EntitySettings, SubscriptionSettings

PathOf = Callable[[str], str]
"""Where a setting stands in the config."""

MAX_AUTHORIZATION_RULES = 12
MINUTE_S = 60
DAY_S = 86_400

_GB_IN_MB = 1024
_STANDARD_SIZES_MB = {n * _GB_IN_MB for n in (1, 2, 3, 4, 5)}
_PREMIUM_SIZES_MB = _STANDARD_SIZES_MB | {n * _GB_IN_MB for n in (10, 20, 40, 80)}
_MAX_MESSAGE_KB = 100 * 1024

_OF_QUEUES = (
    "sessions",
    "lock_duration",
    "max_delivery_count",
    "dead_letter_expired",
    "forward_to",
    "forward_dead_lettered_to",
)

_NAMESPACE = re.compile(r"[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
_RESOURCE_GROUP = re.compile(r"[\w().-]*[\w()-]")
_SHORT_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_SUBSCRIPTION_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def check_namespace_name(name: str) -> None:
    if not (6 <= len(name) <= 50 and _NAMESPACE.fullmatch(name)):
        raise _bad_name(
            name, "namespace", "6 to 50 letters, digits and hyphens; a letter first, no hyphen last", "namespace"
        )


def check_resource_group_name(name: str, path: str) -> None:
    if not (len(name) <= 90 and _RESOURCE_GROUP.fullmatch(name)):
        raise _bad_name(name, "resource group", "up to 90 letters, digits and . _ - ( ), no dot last", path)


def check_short_name(name: str, what: str, path: str) -> None:
    """Of subscriptions, rules and authorization rules."""
    if not (len(name) <= 50 and _SHORT_NAME.fullmatch(name)):
        raise _bad_name(name, what, "up to 50 letters, digits and . - _, a letter or digit at both ends", path)


def check_subscription_id(subscription_id: str) -> None:
    if not _SUBSCRIPTION_ID.fullmatch(subscription_id):
        raise _bad_name(
            subscription_id, "Azure subscription", "a GUID, as `az account show` prints it", "subscription_id"
        )


def check_different(names: Iterable[tuple[str, str]], what: str) -> None:
    """Pairs of name and path. Service Bus does not tell `Orders` from `orders`."""
    seen: set[str] = set()
    for name, path in names:
        if name.lower() in seen:
            raise ConfigError(
                "servicebus.duplicate_name",
                f'two {what} are called "{name}"',
                hint="Service Bus does not tell upper from lower case.",
                config_path=path,
            )
        seen.add(name.lower())


def check_entity(kind: EntityKind, settings: EntitySettings, path: PathOf, tier: Tier | None, mode: Mode) -> None:
    """The settings of one queue or topic."""
    _check_kind(kind, settings, path)
    if tier == "Basic":
        for name in ("sessions", "duplicate_detection", "forward_to", "forward_dead_lettered_to"):
            if getattr(settings, name):
                raise not_in_tier(name.replace("_", " "), "Basic", path(name))
    if tier == "Premium" and settings.partitioning:
        raise not_in_tier(
            "partitioning of an entity", "Premium", path("partitioning"), "Set premium_messaging_partitions instead."
        )
    if tier in ("Basic", "Standard") and settings.max_message_size is not None:
        raise not_in_tier("max_message_size", tier, path("max_message_size"))
    if settings.duplicate_detection is False and settings.duplicate_detection_window is not None:
        raise ConfigError(
            "servicebus.unused_setting",
            "duplicate_detection_window has no use while duplicate_detection = false",
            config_path=path("duplicate_detection_window"),
        )
    if mode == "arm":
        _check_range(
            settings.duplicate_detection_window, 20, 7 * DAY_S, "20s to 7d", path("duplicate_detection_window")
        )
        _check_sizes(settings, path, tier)
    check_times(settings, path, mode)


def check_times(settings: EntitySettings | SubscriptionSettings, path: PathOf, mode: Mode) -> None:
    """What queues and subscriptions have in common."""
    if mode == "entities":
        return
    _check_range(settings.lock_duration, 1, 5 * MINUTE_S, "1s to 5m", path("lock_duration"))
    _check_range(settings.auto_delete_on_idle, 5 * MINUTE_S, None, "5m or more", path("auto_delete_on_idle"))
    _check_range(settings.default_time_to_live, 1, None, "1s or more", path("default_time_to_live"))


def check_rights(rights: list[Right], path: str) -> None:
    if "Manage" in rights and not {"Listen", "Send"} <= set(rights):
        raise ConfigError(
            "servicebus.bad_rights",
            "the right Manage needs Send and Listen beside it",
            hint='rights = ["Listen", "Send", "Manage"]',
            config_path=path,
        )


def size_in_mb(size: Size) -> int:
    """1GB and 1GiB are both the 1,024 MB of Service Bus."""
    return size // 1000**3 * _GB_IN_MB if size % 1000**3 == 0 else size // 1024**2


def size_in_kb(size: Size) -> int:
    """1MB and 1MiB are both 1,024 KB."""
    return size // 1000**2 * 1024 if size % 1000**2 == 0 else size // 1024


def check_rule_count(count: int, entity: str) -> None:
    """`entity`: empty for those of the namespace."""
    if count > MAX_AUTHORIZATION_RULES:
        raise ConfigError(
            "servicebus.out_of_range",
            f"{count} authorization rules for {entity or 'the namespace'}; Service Bus takes {MAX_AUTHORIZATION_RULES}",
            config_path="authorization_rules",
        )


def not_in_tier(what: str, tier: Tier, path: str, hint: str = "") -> ConfigError:
    return ConfigError("servicebus.not_in_tier", f"{tier} has no {what}", hint=hint, config_path=path)


def _check_kind(kind: EntityKind, settings: EntitySettings, path: PathOf) -> None:
    wrong = _OF_QUEUES if kind == "topic" else ("support_ordering",)
    for name in wrong:
        if getattr(settings, name) is not None:
            raise ConfigError(
                "servicebus.not_of_kind",
                f"a {kind} has no {name}",
                hint=f"Set {name} in subscriptions." if kind == "topic" else f"Topics have {name}.",
                config_path=path(name),
            )


def _check_sizes(settings: EntitySettings, path: PathOf, tier: Tier | None) -> None:
    allowed = _STANDARD_SIZES_MB if tier in ("Basic", "Standard") else _PREMIUM_SIZES_MB
    if settings.max_size is not None and size_in_mb(settings.max_size) not in allowed:
        sizes = ", ".join(f"{mb // _GB_IN_MB}GB" for mb in sorted(allowed))
        raise _out_of_range(settings.max_size.text, sizes, path("max_size"))
    if settings.max_message_size is not None and not 1024 <= size_in_kb(settings.max_message_size) <= _MAX_MESSAGE_KB:
        raise _out_of_range(settings.max_message_size.text, "1MB to 100MB", path("max_message_size"))


def _check_range(value: float | None, low: float, high: float | None, words: str, path: str) -> None:
    if value is not None and (value < low or (high is not None and value > high)):
        raise _out_of_range(getattr(value, "text", str(value)), words, path)


def _out_of_range(value: str, words: str, path: str) -> ConfigError:
    return ConfigError("servicebus.out_of_range", f"{path} is {value}; Service Bus takes {words}", config_path=path)


def _bad_name(name: str, what: str, words: str, path: str) -> ConfigError:
    return ConfigError(
        "servicebus.bad_name", f'"{name}" can\'t be the name of a {what}', hint=f"Allowed: {words}.", config_path=path
    )
