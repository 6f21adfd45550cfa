"""The settings that describe what `init` provisions, as users write them; `provision.py` builds a spec from them.

The settings of queues, topics and subscriptions come from `dstream_stacks.properties`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from dstream_stacks.display import summary
from dstream_stacks.properties import EntityProperty, EntityType, Tier, properties_of
from dstream_stacks.spec import Mode, PrincipalType, PublicNetworkAccess, Right, Role, TlsVersion
from msgspec import Meta

from dstream.sdk import Duration, Size, identifier, run_only

_Expression = Annotated[str, Meta(min_length=1, max_length=1024)]
"""Microsoft: Service Bus quotas, "Maximum size of SQL filter" and "action": 1,024 characters."""
_Positive = Annotated[float, Meta(gt=0)]

_IDENTIFIER = identifier()
_Name = Annotated[str, _IDENTIFIER]
_Protect = Annotated[bool | None, Meta(description="refuse to delete or replace it; default: the output's")]
_Retain = Annotated[bool | None, Meta(description="leave it in place on destroy; default: the output's")]
_Import = Annotated[bool | None, Meta(description="import it if it already exists; default: the output's")]
_IgnoreChanges = Annotated[
    list[str] | None, Meta(description='settings that others change, e.g. ["max_delivery_count"]; left as they are')
]


class _Kept(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    protect: _Protect = None
    retain_on_delete: _Retain = None
    import_: _Import = msgspec.field(default=None, name="import")
    ignore_changes: _IgnoreChanges = None


if TYPE_CHECKING:
    # The fields that code reads by name. All others are read with `getattr` and an EntityProperty's `name`.
    class _SubscriptionFields(_Kept, frozen=True, kw_only=True):
        sessions: bool | None = None

    class _EntityFields(_SubscriptionFields, frozen=True, kw_only=True):
        duplicate_detection: bool | None = None
        duplicate_detection_window: Duration | None = None
        partitioning: bool | None = None
else:

    def _fields_of(*kinds: EntityType) -> type[_Kept]:
        """A base class with one optional field per setting of these kinds."""
        fields = [(each.name, _annotation(each), None) for each in properties_of(*kinds)]
        return msgspec.defstruct("_Fields", fields, bases=(_Kept,), frozen=True, kw_only=True)

    def _annotation(each: EntityProperty) -> Any:
        value = _TYPES[each.form]
        if each.form == "count":
            value = Annotated[value, Meta(ge=each.range.low, le=each.range.high)]
        if each.max_length is not None:
            value = Annotated[value, Meta(max_length=each.max_length)]
        return Annotated[value | None, Meta(description=summary(each))]

    _TYPES = {"flag": bool, "text": str, "count": int, "duration": Duration, "megabytes": Size, "kilobytes": Size}
    _EntityFields = _fields_of("queue", "topic")
    _SubscriptionFields = _fields_of("subscription")


class EntitySettings(_EntityFields, frozen=True, kw_only=True):
    """Settings of the task's queues or topics; the service's defaults apply to the rest."""


class CorrelationSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Matches messages that have all of these values."""

    correlation_id: str | None = None
    message_id: str | None = None
    to: str | None = None
    reply_to: str | None = None
    subject: str | None = None
    session_id: str | None = None
    reply_to_session_id: str | None = None
    content_type: str | None = None
    properties: Annotated[dict[str, str], Meta(description="application properties")] = {}


_Filter = Annotated[_Expression | None, Meta(description="SQL, e.g. \"OperationType = 'Insert'\"")]
_Action = Annotated[_Expression | None, Meta(description="SQL that changes the message, e.g. SET region = 'eu'")]


class RuleSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One rule of a subscription: a filter or correlation, and an optional action."""

    name: _Name
    filter: _Filter = None
    correlation: CorrelationSettings | None = None
    action: _Action = None


class SubscriptionSettings(_SubscriptionFields, frozen=True, kw_only=True):
    """A subscription of the task's topics. Without filter, correlation and rules it receives every message."""

    name: _Name
    topics: Annotated[
        list[str], Meta(description="names of its topics; default: all topics of the task"), _IDENTIFIER
    ] = msgspec.field(default_factory=list)
    filter: _Filter = None
    correlation: CorrelationSettings | None = None
    action: _Action = None
    rules: Annotated[list[RuleSettings], Meta(description="named rules; a message must match at least one")] = (
        msgspec.field(default_factory=list)
    )


class AuthorizationRuleSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A key for other programs, such as consumers."""

    name: _Name
    rights: Annotated[
        list[Right], Meta(min_length=1, description="Listen, Send, Manage; Manage requires the other two")
    ]
    entity: Annotated[
        str | None, Meta(description="the queue or topic it is for; default: the whole namespace"), _IDENTIFIER
    ] = None


class CustomerManagedKeySettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A key in Azure Key Vault that encrypts the namespace."""

    key: Annotated[str, Meta(description="https://VAULT.vault.azure.net/keys/NAME; with /VERSION, only this version")]
    identity: Annotated[str, Meta(description="resource ID of a user-assigned identity that may use the key")]


class NetworkRulesSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Who may connect over the public endpoint; with IP rules or subnets, nobody else."""

    ip_rules: Annotated[
        list[str], Meta(description="IPv4 addresses and ranges that may connect, e.g. 203.0.113.0/24")
    ] = []
    subnets: Annotated[
        list[str],
        Meta(description="resource IDs of subnets with the service endpoint Microsoft.ServiceBus; Premium only"),
    ] = []
    trusted_services: Annotated[
        bool, Meta(description="let Microsoft's trusted services connect in any case; Premium only")
    ] = False


class PrivateEndpointSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """An address of the namespace in an existing virtual network."""

    name: _Name
    subnet: Annotated[str, Meta(description="resource ID of the subnet")]
    location: Annotated[str | None, Meta(description="of the virtual network; default: the namespace's")] = None
    dns_zone: Annotated[
        str | None, Meta(description="resource ID of the private DNS zone privatelink.servicebus.windows.net")
    ] = None


class RoleAssignmentSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Access for an identity in Entra ID, without a key."""

    role: Annotated[Role, Meta(description="Sender or Receiver: Azure Service Bus Data Sender or Data Receiver")]
    principal_id: Annotated[str, Meta(description="the identity's object ID, a GUID"), _IDENTIFIER]
    principal_type: Annotated[
        PrincipalType, Meta(description="ServicePrincipal (also managed identities), Group or User")
    ] = "ServicePrincipal"
    entity: Annotated[
        str | None, Meta(description="the queue or topic; default: every one of the task"), _IDENTIFIER
    ] = None
    subscription: Annotated[
        str | None, Meta(description="only this subscription of the topics; for Receiver"), _IDENTIFIER
    ] = None


class ServiceBusInfrastructure(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The settings that `plan`, `init`, `status` and `destroy` read, apart from the names of the entities."""

    mode: Annotated[
        Mode, Meta(description="arm: through Azure Resource Manager; entities: with only a connection string")
    ] = "arm"
    subscription_id: Annotated[
        str | None, Meta(description="Azure subscription; default: ARM_SUBSCRIPTION_ID"), _IDENTIFIER
    ] = None
    resource_group: Annotated[str | None, Meta(description="resource group of the namespace"), _IDENTIFIER] = None
    create_resource_group: bool = False
    create_namespace: bool = False
    location: Annotated[
        str | None, Meta(description="Azure region of the resources to create, e.g. westeurope"), _IDENTIFIER
    ] = None
    sku: Annotated[Tier | None, Meta(description="tier of the namespace; default for a new one: Standard")] = None
    capacity: Annotated[Literal[1, 2, 4, 8, 16] | None, Meta(description="messaging units; Premium only")] = None
    premium_messaging_partitions: Annotated[Literal[1, 2, 4] | None, Meta(description="Premium only")] = None
    zone_redundant: Annotated[bool | None, Meta(description="Premium only")] = None
    minimum_tls_version: TlsVersion | None = None
    disable_local_auth: Annotated[bool | None, Meta(description="refuse keys: Entra ID only")] = None
    public_network_access: PublicNetworkAccess | None = None
    network_rules: Annotated[
        NetworkRulesSettings | None, Meta(description="who may connect over the public endpoint")
    ] = None
    private_endpoints: Annotated[
        list[PrivateEndpointSettings] | None, Meta(description="addresses in existing virtual networks; Premium only")
    ] = None
    log_analytics_workspace: Annotated[
        str | None, Meta(description="resource ID of the workspace for all logs and metrics of the namespace")
    ] = None
    customer_managed_key: Annotated[
        CustomerManagedKeySettings | None, Meta(description="encrypt with your own key; Premium only")
    ] = None
    tags: Annotated[dict[str, str], Meta(description="tags of the resource group and namespace, if created")] = {}
    ignore_changes: Annotated[
        list[str] | None,
        Meta(
            description='settings of the namespace that others change, e.g. ["sku.capacity", "tags"]; left as they are'
        ),
    ] = None

    entity: Annotated[EntitySettings, Meta(description="settings of all the task's queues or topics")] = msgspec.field(
        default_factory=EntitySettings
    )
    entities: Annotated[
        dict[str, EntitySettings],
        Meta(description="settings of individual queues or topics, by name; they override entity"),
    ] = {}
    subscriptions: list[SubscriptionSettings] = []
    authorization_rules: list[AuthorizationRuleSettings] = []
    role_assignments: list[RoleAssignmentSettings] = []

    protect: Annotated[bool, Meta(description="refuse to delete or replace any resource of this output")] = False
    protect_namespace: Annotated[
        bool, Meta(description="refuse to delete or replace the resource group and namespace that init creates")
    ] = True
    retain_on_delete: Annotated[bool, Meta(description="leave every resource in place on destroy")] = False
    import_: Annotated[bool, Meta(description="import every resource that already exists")] = msgspec.field(
        default=False, name="import"
    )

    expected_rate: Annotated[
        _Positive | None, Meta(description="rows per second, for plan's capacity estimate"), run_only()
    ] = None
    expected_row_size: Annotated[
        Size | None, Meta(description="bytes per row, for plan's capacity estimate"), run_only()
    ] = None
