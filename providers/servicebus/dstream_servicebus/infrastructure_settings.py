"""The part of the settings that says what `init` provisions, as users write it; `provision.py` makes a spec of it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from dstream_stacks.spec import Mode, PublicNetworkAccess, Right, Tier, TlsVersion
from msgspec import Meta

from dstream.sdk import Duration, Size, run_only

_UpTo1024 = Annotated[str, Meta(max_length=1024)]
_Expression = Annotated[str, Meta(min_length=1, max_length=1024)]
"""Microsoft: Service Bus quotas, "Maximum size of SQL filter" and "action": 1,024 characters."""
_Deliveries = Annotated[int, Meta(ge=1, le=2000)]
_Positive = Annotated[float, Meta(gt=0)]

_Protect = Annotated[bool | None, Meta(description="refuse to delete or replace it; by default as the whole output")]
_Retain = Annotated[bool | None, Meta(description="leave it in place when destroyed; by default as the whole output")]
_Import = Annotated[bool | None, Meta(description="take it over where it exists already")]


class _Kept(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    protect: _Protect = None
    retain_on_delete: _Retain = None
    import_: _Import = msgspec.field(default=None, name="import")


class _Common(_Kept, frozen=True, kw_only=True):
    default_time_to_live: Annotated[Duration | None, Meta(description="of messages that bring none")] = None
    auto_delete_on_idle: Annotated[Duration | None, Meta(description="delete it once unused for so long; from 5m")] = (
        None
    )
    batched_operations: Annotated[bool | None, Meta(description="let the service put its writes together")] = None
    user_metadata: Annotated[_UpTo1024 | None, Meta(description="a note kept with it")] = None
    sessions: Annotated[bool | None, Meta(description="messages in sessions only; by default where session is set")] = (
        None
    )
    lock_duration: Annotated[Duration | None, Meta(description="how long a receiver has it for itself; up to 5m")] = (
        None
    )
    max_delivery_count: Annotated[
        _Deliveries | None, Meta(description="deliveries before it is dead-lettered; up to 2,000")
    ] = None
    dead_letter_expired: Annotated[bool | None, Meta(description="keep what outlived its time to live")] = None
    forward_to: Annotated[str | None, Meta(description="queue or topic that gets the messages instead")] = None
    forward_dead_lettered_to: Annotated[str | None, Meta(description="queue or topic that gets the dead letters")] = (
        None
    )


class EntitySettings(_Common, frozen=True, kw_only=True):
    """Settings of the task's queues or topics; what is left out is the service's default."""

    duplicate_detection: Annotated[
        bool | None, Meta(description="drop messages whose id came before; on unless the tier is Basic")
    ] = None
    duplicate_detection_window: Annotated[Duration | None, Meta(description="20s to 7d; 10m unless set")] = None
    partitioning: Annotated[bool | None, Meta(description="spread it over several brokers; not in Premium")] = None
    support_ordering: Annotated[bool | None, Meta(description="of topics")] = None
    max_size: Annotated[Size | None, Meta(description="1GB to 5GB, in whole GB; Premium up to 80GB")] = None
    max_message_size: Annotated[Size | None, Meta(description="of one message; Premium, up to 100MB")] = None


class CorrelationSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Messages whose fields equal all of these."""

    correlation_id: str | None = None
    message_id: str | None = None
    to: str | None = None
    reply_to: str | None = None
    subject: str | None = None
    session_id: str | None = None
    reply_to_session_id: str | None = None
    content_type: str | None = None
    properties: Annotated[dict[str, str], Meta(description="application properties")] = {}


_Filter = Annotated[_Expression | None, Meta(description="SQL: \"OperationType = 'Insert'\"")]
_Action = Annotated[_Expression | None, Meta(description="SQL that changes the message: SET region = 'eu'")]


class RuleSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One way in which messages get into a subscription."""

    name: str
    filter: _Filter = None
    correlation: CorrelationSettings | None = None
    action: _Action = None


class SubscriptionSettings(_Common, frozen=True, kw_only=True):
    """A subscription of the task's topics. Without filter, correlation and rules it gets every message."""

    name: str
    topics: Annotated[list[str], Meta(description="names of the topics that have it; all of the task unless set")] = []
    filter: _Filter = None
    correlation: CorrelationSettings | None = None
    action: _Action = None
    rules: Annotated[list[RuleSettings], Meta(description="several ways in; each has a name")] = []
    dead_letter_filter_errors: Annotated[bool | None, Meta(description="keep what a filter failed on")] = None


class AuthorizationRuleSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A key for others, such as the consumers."""

    name: str
    rights: Annotated[list[Right], Meta(min_length=1, description="Listen, Send, Manage; Manage needs the other two")]
    entity: Annotated[str | None, Meta(description="the queue or topic it is for; the whole namespace unless set")] = (
        None
    )


class ServiceBusInfrastructure(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What `plan`, `init`, `status` and `destroy` read beside the names of the entities."""

    mode: Annotated[
        Mode, Meta(description="arm: through Azure Resource Manager; entities: with a connection string alone")
    ] = "arm"
    subscription_id: Annotated[str | None, Meta(description="ARM_SUBSCRIPTION_ID unless set")] = None
    resource_group: Annotated[str | None, Meta(description="where the namespace is")] = None
    create_resource_group: bool = False
    create_namespace: bool = False
    location: Annotated[str | None, Meta(description="of what is created: westeurope")] = None
    sku: Annotated[Tier | None, Meta(description="tier of the namespace; a created one is Standard unless set")] = None
    capacity: Annotated[Literal[1, 2, 4, 8, 16] | None, Meta(description="messaging units; Premium")] = None
    premium_messaging_partitions: Annotated[Literal[1, 2, 4] | None, Meta(description="Premium")] = None
    zone_redundant: Annotated[bool | None, Meta(description="Premium")] = None
    minimum_tls_version: TlsVersion | None = None
    disable_local_auth: Annotated[bool | None, Meta(description="no keys: only Entra ID")] = None
    public_network_access: PublicNetworkAccess | None = None
    tags: Annotated[dict[str, str], Meta(description="of the resource group and namespace that are created")] = {}

    entity: Annotated[EntitySettings, Meta(description="settings of each of the task's queues or topics")] = (
        msgspec.field(default_factory=EntitySettings)
    )
    entities: Annotated[
        dict[str, EntitySettings], Meta(description="by name: what is different for that queue or topic")
    ] = {}
    subscriptions: list[SubscriptionSettings] = []
    authorization_rules: list[AuthorizationRuleSettings] = []

    protect: Annotated[bool, Meta(description="refuse to delete or replace anything of this output")] = False
    retain_on_delete: Annotated[bool, Meta(description="destroy leaves everything in place")] = False
    import_: Annotated[bool, Meta(description="take over whatever exists already")] = msgspec.field(
        default=False, name="import"
    )

    expected_rate: Annotated[
        _Positive | None, Meta(description="rows a second, for plan's word on capacity"), run_only()
    ] = None
    expected_row_size: Annotated[
        Size | None, Meta(description="bytes a row, for plan's word on capacity"), run_only()
    ] = None
