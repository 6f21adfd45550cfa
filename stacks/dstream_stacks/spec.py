"""What a task's Service Bus infrastructure is to be: one typed value, from which both programs, plans and ids are made.

Pure. None means the service's own default. Durations are seconds; `inputs.py` knows what Azure calls each setting.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Mode = Literal["arm", "entities"]
Tier = Literal["Basic", "Standard", "Premium"]
Right = Literal["Listen", "Send", "Manage"]
PublicNetworkAccess = Literal["Enabled", "Disabled", "SecuredByPerimeter"]
TlsVersion = Literal["1.0", "1.1", "1.2", "1.3"]

DEFAULT_RULE = "$Default"
"""The rule that Service Bus gives to each new subscription: everything matches."""


class _Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """As a document it has only what differs from the defaults."""


class Kept(_Value, frozen=True, kw_only=True):
    """How a resource is treated beyond its settings."""

    protect: bool = False
    """Refuse to delete or replace it."""
    retain_on_delete: bool = False
    """Leave it in place when it is no longer wanted, or destroyed."""
    import_: bool = msgspec.field(default=False, name="import")
    """Take it over where it exists already."""


class ResourceGroup(Kept, frozen=True, kw_only=True):
    """Where the namespace is. Unless `create`, it exists and only its name counts."""

    name: str
    create: bool = False
    location: str = ""


class Namespace(Kept, frozen=True, kw_only=True):
    """Unless `create`, it exists and only its name counts; the tier then only says what it can carry."""

    name: str
    create: bool = False
    location: str = ""
    tier: Tier | None = None
    capacity: int | None = None
    """Messaging units of a Premium namespace."""
    premium_messaging_partitions: int | None = None
    zone_redundant: bool | None = None
    minimum_tls_version: TlsVersion | None = None
    disable_local_auth: bool | None = None
    """No keys: only Entra ID."""
    public_network_access: PublicNetworkAccess | None = None


class _Entity(Kept, frozen=True, kw_only=True):
    """What queues, topics and subscriptions have in common."""

    name: str
    default_time_to_live_s: float | None = None
    auto_delete_on_idle_s: float | None = None
    batched_operations: bool | None = None
    user_metadata: str | None = None


class Queue(_Entity, frozen=True, kw_only=True):
    duplicate_detection: bool | None = None
    duplicate_detection_window_s: float | None = None
    sessions: bool | None = None
    partitioning: bool | None = None
    lock_duration_s: float | None = None
    max_delivery_count: int | None = None
    dead_letter_expired: bool | None = None
    forward_to: str | None = None
    forward_dead_lettered_to: str | None = None
    max_size_mb: int | None = None
    max_message_size_kb: int | None = None


class CorrelationFilter(_Value, frozen=True, kw_only=True):
    """What is given must be equal in the message."""

    correlation_id: str | None = None
    message_id: str | None = None
    to: str | None = None
    reply_to: str | None = None
    subject: str | None = None
    session_id: str | None = None
    reply_to_session_id: str | None = None
    content_type: str | None = None
    properties: dict[str, str] = {}


class Rule(_Value, frozen=True, kw_only=True):
    """Which messages a subscription takes: by an SQL expression, or by equality."""

    name: str = DEFAULT_RULE
    sql: str | None = None
    correlation: CorrelationFilter | None = None
    action: str | None = None
    """SQL that changes the message's properties: `SET region = 'eu'`."""


class Subscription(_Entity, frozen=True, kw_only=True):
    sessions: bool | None = None
    lock_duration_s: float | None = None
    max_delivery_count: int | None = None
    dead_letter_expired: bool | None = None
    dead_letter_filter_errors: bool | None = None
    forward_to: str | None = None
    forward_dead_lettered_to: str | None = None
    rules: tuple[Rule, ...] = ()


class Topic(_Entity, frozen=True, kw_only=True):
    duplicate_detection: bool | None = None
    duplicate_detection_window_s: float | None = None
    partitioning: bool | None = None
    support_ordering: bool | None = None
    max_size_mb: int | None = None
    max_message_size_kb: int | None = None
    subscriptions: tuple[Subscription, ...] = ()


class AuthorizationRule(_Value, frozen=True, kw_only=True):
    """A key with these rights: to one queue or topic, else to the whole namespace."""

    name: str
    rights: tuple[Right, ...]
    queue: str = ""
    topic: str = ""


class ServiceBusSpec(_Value, frozen=True, kw_only=True):
    """One task's infrastructure. Mode `entities` has neither group, namespace nor authorization rules."""

    mode: Mode = "arm"
    subscription_id: str = ""
    """Empty: the one that the credentials lead to."""
    resource_group: ResourceGroup | None = None
    namespace: Namespace | None = None
    queues: tuple[Queue, ...] = ()
    topics: tuple[Topic, ...] = ()
    authorization_rules: tuple[AuthorizationRule, ...] = ()
    tags: dict[str, str] = {}
    """Of the group and the namespace that are created; entities have none in Azure."""
    import_existing: bool = False
    """Take over whatever exists already, as if each resource had `import`."""


def as_document(spec: ServiceBusSpec) -> dict[str, Any]:
    """The spec as JSON, for plan files and stack config. There is no secret in a spec."""
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(spec))
    return document


def from_document(document: dict[str, Any]) -> ServiceBusSpec:
    """Raises ValueError that says what is wrong, and where."""
    return msgspec.convert(document, ServiceBusSpec)
