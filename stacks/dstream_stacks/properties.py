"""The settings of queues, topics and subscriptions: one row per setting, from which everything else is derived.

In this package: the fields of `spec.py` and the inputs of `inputs.py`, and so both programs. In the servicebus
provider: the settings that users write, their validation, the resources of mode `entities` and the table in
docs/reference/providers/servicebus.md. To add a setting, add a row, and its value to the tests' fully set specs.

Names and defaults are those of `azure-native:servicebus:*` 3.29 (API version 2026-01-01). Defaults also:
azure-rest-api-specs, Queue.json, topics.json and subscriptions.json (durations, sizes, counts); azurerm's documentation
of servicebus_queue, servicebus_topic and servicebus_subscription (flags, "never"); azure-service-bus, issue 306
(Basic). Ranges: Microsoft, "Service Bus quotas", "Service Bus Premium and Standard messaging tiers", "Duplicate
detection". Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

EntityType = Literal["queue", "topic", "subscription"]
Form = Literal["flag", "text", "count", "duration", "megabytes", "kilobytes"]
"""The type of the value in a spec: bool, str, int, seconds (float), or whole megabytes or kilobytes (1,024-based)."""
Tier = Literal["Basic", "Standard", "Premium"]

FOREVER = "P10675199DT2H48M5.4775807S"
"""The longest time span in Service Bus, and the default for settings where it means "never"."""

_MINUTE_S = 60
_DAY_S = 86_400
_GB = 1024
"""In megabytes."""
_SUFFIXES: dict[Form, str] = {"duration": "_s", "megabytes": "_mb", "kilobytes": "_kb"}

_QUEUE: tuple[EntityType, ...] = ("queue",)
_TOPIC: tuple[EntityType, ...] = ("topic",)
_SUBSCRIPTION: tuple[EntityType, ...] = ("subscription",)
_STORING = (*_QUEUE, *_TOPIC)
_DELIVERING = (*_QUEUE, *_SUBSCRIPTION)
_ALL = (*_QUEUE, *_TOPIC, *_SUBSCRIPTION)


class AcceptedRange(NamedTuple):
    """Inclusive limits in the unit of the form; None for no limit."""

    low: float | None = None
    high: float | None = None


NO_LIMITS = AcceptedRange()


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityProperty:
    """One setting."""

    name: str
    """The setting's name, as users write it: `lock_duration`."""
    azure: str
    """The property's name in Azure: `lockDuration`."""
    form: Form
    on: tuple[EntityType, ...]
    """The kinds of entity that have it."""
    description: str
    """One line, for the JSON schema and the documentation."""
    defaults: tuple[Any, ...]
    """Azure's default, as Azure writes it. More than one if it depends on the entity."""
    basic_default: Any = None
    """Azure's default in the tier Basic, if it is another one."""
    shown_default: str = ""
    """The default shown in the documentation, if it is not the first of `defaults`."""
    label: str = ""
    """The name shown in plans. Default: the setting's name in words."""
    tiers: tuple[Tier, ...] = ("Basic", "Standard", "Premium")
    """The tiers that support it."""
    instead: str = ""
    """The hint for users of the other tiers."""
    range: AcceptedRange = NO_LIMITS
    """The range that Azure accepts."""
    emulator_range: AcceptedRange | None = None
    """The range that any tier or Microsoft's emulator accepts, if it is larger than `range`."""
    choices: tuple[int, ...] = ()
    """The only values that Azure accepts."""
    premium_choices: tuple[int, ...] = ()
    """Additional values in the Premium tier."""
    max_length: int | None = None
    """Maximum length of a text, in characters."""
    replaces: bool = False
    """Whether changing it replaces the entity, since Azure only accepts it at creation."""

    @property
    def field(self) -> str:
        """The field of a spec, with its unit: `lock_duration_s`."""
        return self.name + _SUFFIXES.get(self.form, "")

    def default_in(self, tier: Tier | None) -> Any:
        """Azure's default as a value that can be sent. None for a text, which is removed by omitting it, and for a
        default that depends on another setting or on an unknown tier.
        """
        if self.form == "text" or (len(self.defaults) > 1 and len(self.tiers) > 1):
            return None
        if self.basic_default is not None and tier in (None, "Basic"):
            return None if tier is None else self.basic_default
        return self.defaults[0]


PROPERTIES = (
    EntityProperty(
        name="duplicate_detection",
        azure="requiresDuplicateDetection",
        form="flag",
        on=_STORING,
        description="drop messages with an id that was already received",
        defaults=(False,),
        shown_default="on, except in Basic",
        tiers=("Standard", "Premium"),
        replaces=True,
    ),
    EntityProperty(
        name="duplicate_detection_window",
        azure="duplicateDetectionHistoryTimeWindow",
        form="duration",
        on=_STORING,
        description="how long message ids are remembered",
        defaults=("PT10M",),
        shown_default="10m (mode `entities`: the service's)",
        range=AcceptedRange(20, 7 * _DAY_S),
        emulator_range=AcceptedRange(high=7 * _DAY_S),
    ),
    EntityProperty(
        name="sessions",
        azure="requiresSession",
        form="flag",
        on=_DELIVERING,
        description="accept only messages with a session",
        defaults=(False,),
        shown_default="on when `session` is set, except in Basic",
        tiers=("Standard", "Premium"),
        replaces=True,
    ),
    EntityProperty(
        name="lock_duration",
        azure="lockDuration",
        form="duration",
        on=_DELIVERING,
        description="how long a received message is locked for its receiver",
        defaults=("PT1M",),
        range=AcceptedRange(1, 5 * _MINUTE_S),
        emulator_range=AcceptedRange(high=5 * _MINUTE_S),
    ),
    EntityProperty(
        name="max_delivery_count",
        azure="maxDeliveryCount",
        form="count",
        on=_DELIVERING,
        description="delivery attempts before a message is dead-lettered",
        defaults=(10,),
        range=AcceptedRange(1, 2000),
    ),
    EntityProperty(
        name="default_time_to_live",
        azure="defaultMessageTimeToLive",
        form="duration",
        on=_ALL,
        description="time to live of messages that do not set one",
        defaults=(FOREVER,),
        basic_default="P14D",
        range=AcceptedRange(low=1),
    ),
    EntityProperty(
        name="dead_letter_expired",
        azure="deadLetteringOnMessageExpiration",
        form="flag",
        on=_DELIVERING,
        description="dead-letter expired messages instead of dropping them",
        defaults=(False,),
    ),
    EntityProperty(
        name="dead_letter_filter_errors",
        azure="deadLetteringOnFilterEvaluationExceptions",
        form="flag",
        on=_SUBSCRIPTION,
        description="dead-letter messages for which a filter fails",
        defaults=(True,),
    ),
    EntityProperty(
        name="forward_to",
        azure="forwardTo",
        form="text",
        on=_DELIVERING,
        description="queue or topic that receives the messages instead",
        defaults=("",),
        tiers=("Standard", "Premium"),
    ),
    EntityProperty(
        name="forward_dead_lettered_to",
        azure="forwardDeadLetteredMessagesTo",
        form="text",
        on=_DELIVERING,
        description="queue or topic that receives the dead-lettered messages",
        defaults=("",),
        tiers=("Standard", "Premium"),
    ),
    EntityProperty(
        name="auto_delete_on_idle",
        azure="autoDeleteOnIdle",
        form="duration",
        on=_ALL,
        description="delete the entity after this long without use",
        defaults=(FOREVER,),
        range=AcceptedRange(low=5 * _MINUTE_S),
    ),
    EntityProperty(
        name="max_size",
        azure="maxSizeInMegabytes",
        form="megabytes",
        on=_STORING,
        description="maximum size of the entity",
        defaults=(1 * _GB,),
        emulator_range=AcceptedRange(low=1),
        choices=tuple(n * _GB for n in (1, 2, 3, 4, 5)),
        premium_choices=tuple(n * _GB for n in (10, 20, 40, 80)),
    ),
    EntityProperty(
        name="max_message_size",
        azure="maxMessageSizeInKilobytes",
        form="kilobytes",
        on=_STORING,
        description="maximum size of a message",
        defaults=(1024, 256),  # Premium; the other tiers
        tiers=("Premium",),
        range=AcceptedRange(1024, 100 * 1024),
        emulator_range=AcceptedRange(low=1),
    ),
    EntityProperty(
        name="partitioning",
        azure="enablePartitioning",
        form="flag",
        on=_STORING,
        description="spread the entity over several message brokers; needs duplicate_detection = false",
        defaults=(False,),
        tiers=("Basic", "Standard"),
        instead="Set premium_messaging_partitions instead.",
        replaces=True,
    ),
    EntityProperty(
        name="support_ordering",
        azure="supportOrdering",
        form="flag",
        on=_TOPIC,
        description="deliver in the order of arrival",
        defaults=(True, False),
        shown_default="on, off with partitioning",
    ),
    EntityProperty(
        name="batched_operations",
        azure="enableBatchedOperations",
        form="flag",
        on=_ALL,
        description="let the service batch writes to its store",
        defaults=(True,),
    ),
    EntityProperty(
        name="user_metadata",
        azure="userMetadata",
        form="text",
        on=_ALL,
        description="a note stored with the entity",
        defaults=("",),
        max_length=1024,
    ),
)
"""In the order of the table in the documentation."""


def properties_of(*kinds: EntityType) -> tuple[EntityProperty, ...]:
    """The settings that at least one of these kinds has."""
    return tuple(each for each in PROPERTIES if any(kind in each.on for kind in kinds))
