"""The settings of entities: the descriptions that the admin API reads and writes, with the service's defaults.

Sources: Microsoft REST reference "Service Bus: Queue Description", "Topic Description", "Subscription Description",
"Rule Description"; the defaults are those of a Standard namespace. Durations are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "FOREVER_S",
    "AuthorizationRule",
    "CorrelationFilter",
    "EntityStatus",
    "FalseFilter",
    "Filter",
    "QueueDescription",
    "RuleDescription",
    "SqlAction",
    "SqlFilter",
    "SubscriptionDescription",
    "TopicDescription",
    "TrueFilter",
]

FOREVER_S = 922337203685.4775
"""TimeSpan.MaxValue, the service's 'never': P10675199DT2H48M5.4775807S."""

EntityStatus = Literal["Active", "Disabled", "SendDisabled", "ReceiveDisabled"]


@dataclass(frozen=True, slots=True)
class AuthorizationRule:
    """A shared access rule of a namespace or entity."""

    key_name: str
    rights: tuple[str, ...]
    primary_key: str
    secondary_key: str
    claim_type: str = "SharedAccessKey"
    claim_value: str = "None"
    created_at: float = 0.0
    modified_at: float = 0.0


@dataclass(frozen=True, slots=True)
class QueueDescription:
    lock_duration_s: float = 60.0
    max_size_mb: int = 1024
    requires_duplicate_detection: bool = False
    requires_session: bool = False
    default_ttl_s: float = FOREVER_S
    dead_letter_on_expiration: bool = False
    duplicate_window_s: float = 600.0
    max_delivery_count: int = 10
    enable_batched_operations: bool = True
    is_anonymous_accessible: bool = False
    authorization_rules: tuple[AuthorizationRule, ...] = ()
    status: EntityStatus = "Active"
    support_ordering: bool = True
    auto_delete_on_idle_s: float = FOREVER_S
    enable_partitioning: bool = False
    enable_express: bool = False
    forward_to: str | None = None
    forward_dead_letters_to: str | None = None
    user_metadata: str | None = None
    max_message_size_kb: int | None = None


@dataclass(frozen=True, slots=True)
class TopicDescription:
    default_ttl_s: float = FOREVER_S
    max_size_mb: int = 1024
    requires_duplicate_detection: bool = False
    duplicate_window_s: float = 600.0
    enable_batched_operations: bool = True
    filter_before_publishing: bool = False
    is_anonymous_accessible: bool = False
    authorization_rules: tuple[AuthorizationRule, ...] = ()
    status: EntityStatus = "Active"
    support_ordering: bool = True
    auto_delete_on_idle_s: float = FOREVER_S
    enable_partitioning: bool = False
    enable_subscription_partitioning: bool = False
    enable_express: bool = False
    user_metadata: str | None = None
    max_message_size_kb: int | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionDescription:
    lock_duration_s: float = 60.0
    requires_session: bool = False
    default_ttl_s: float = FOREVER_S
    dead_letter_on_expiration: bool = False
    dead_letter_on_filter_errors: bool = True
    max_delivery_count: int = 10
    enable_batched_operations: bool = True
    status: EntityStatus = "Active"
    auto_delete_on_idle_s: float = FOREVER_S
    forward_to: str | None = None
    forward_dead_letters_to: str | None = None
    user_metadata: str | None = None


@dataclass(frozen=True, slots=True)
class SqlFilter:
    expression: str
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrueFilter:
    pass


@dataclass(frozen=True, slots=True)
class FalseFilter:
    pass


@dataclass(frozen=True, slots=True)
class CorrelationFilter:
    """Matches if all values that are set are equal."""

    correlation_id: str | None = None
    message_id: str | None = None
    to: str | None = None
    reply_to: str | None = None
    label: str | None = None
    session_id: str | None = None
    reply_to_session_id: str | None = None
    content_type: str | None = None
    properties: Mapping[str, object] = field(default_factory=dict)


Filter = SqlFilter | TrueFilter | FalseFilter | CorrelationFilter


@dataclass(frozen=True, slots=True)
class SqlAction:
    expression: str
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RuleDescription:
    name: str = "$Default"
    filter: Filter = field(default_factory=TrueFilter)
    action: SqlAction | None = None
    created_at: float = 0.0
