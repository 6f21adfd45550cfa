"""The Service Bus infrastructure that a task needs, as one typed value. Both programs, plans and ids derive from it.

None means the service's default. The settings of queues, topics and subscriptions come from `properties.py`. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from dstream_stacks.properties import EntityType, Tier, properties_of

Mode = Literal["arm", "entities"]
Right = Literal["Listen", "Send", "Manage"]
Role = Literal["Sender", "Receiver"]
"""Azure Service Bus Data Sender, Azure Service Bus Data Receiver."""
PrincipalType = Literal["ServicePrincipal", "Group", "User"]
PublicNetworkAccess = Literal["Enabled", "Disabled", "SecuredByPerimeter"]
TlsVersion = Literal["1.0", "1.1", "1.2", "1.3"]

DEFAULT_RULE = "$Default"
"""The rule that Service Bus creates with each subscription: it matches every message."""


class _Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Omits fields with their default value from its JSON."""


class Kept(_Value, frozen=True, kw_only=True):
    """How to treat a resource, beyond its settings."""

    protect: bool = False
    """Refuse to delete or replace it."""
    retain_on_delete: bool = False
    """Leave it in place when it is removed from the spec or destroyed."""
    import_: bool = msgspec.field(default=False, name="import")
    """Import it if it already exists."""
    ignore_changes: tuple[str, ...] = ()
    """Property paths in Azure whose changes are neither drift nor undone: `sku.capacity`, `tags.team`."""


class ResourceGroup(Kept, frozen=True, kw_only=True):
    """Contains the namespace. Without `create` it must exist, and only its name is used."""

    name: str
    create: bool = False
    location: str = ""


class CustomerManagedKey(_Value, frozen=True, kw_only=True):
    """A key in Azure Key Vault that encrypts a namespace."""

    vault: str
    """`https://kv-retail.vault.azure.net`"""
    name: str
    version: str = ""
    """Empty: always the latest, so that a rotated key needs no change."""
    identity: str
    """The id of a user-assigned identity that may use the key."""


class NetworkRules(_Value, frozen=True, kw_only=True):
    """Who may connect to a namespace over its public endpoint; with an IP rule or subnet, nobody else."""

    ip_rules: tuple[str, ...] = ()
    """IPv4 addresses and ranges: `203.0.113.0/24`."""
    subnets: tuple[str, ...] = ()
    """The ids of subnets."""
    trusted_services: bool = False
    """Let Microsoft's trusted services connect in any case."""


class PrivateEndpoint(_Value, frozen=True, kw_only=True):
    """An address of a namespace in a virtual network."""

    name: str
    subnet: str
    """The id of an existing subnet."""
    location: str = ""
    """That of the virtual network; empty: that of the namespace."""
    dns_zone: str = ""
    """The id of an existing private DNS zone that gets the namespace's name; empty for none."""


class Namespace(Kept, frozen=True, kw_only=True):
    """Without `create` it must exist, and only its name is used; the tier is then only for the capacity estimate."""

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
    """Refuse keys: Entra ID only."""
    public_network_access: PublicNetworkAccess | None = None
    network_rules: NetworkRules | None = None
    private_endpoints: tuple[PrivateEndpoint, ...] = ()
    customer_managed_key: CustomerManagedKey | None = None
    log_analytics_workspace: str = ""
    """The id of the workspace that gets all of its logs and metrics; empty for none."""


class _Entity(Kept, frozen=True, kw_only=True):
    """The common fields of queues, topics and subscriptions."""

    name: str
    defaults: dict[str, Any] = {}
    """Azure's defaults to send for settings that are no longer set, by their names in Azure."""


if TYPE_CHECKING:
    # The fields that code reads by name. All others are read with `getattr` and an EntityProperty's `field`.
    class _TopicSettings(_Entity, frozen=True, kw_only=True): ...

    class _DeliverySettings(_Entity, frozen=True, kw_only=True):
        forward_to: str | None = None
        forward_dead_lettered_to: str | None = None

    _QueueSettings = _DeliverySettings
    _SubscriptionSettings = _DeliverySettings
else:

    def _settings_of(kind: EntityType) -> type[_Entity]:
        """A base class with one optional field per setting of this kind."""
        fields = [(each.field, _TYPES[each.form] | None, None) for each in properties_of(kind)]
        return msgspec.defstruct(f"_{kind.title()}Settings", fields, bases=(_Entity,), frozen=True, kw_only=True)

    _TYPES = {"flag": bool, "text": str, "count": int, "duration": float, "megabytes": int, "kilobytes": int}
    _QueueSettings = _settings_of("queue")
    _TopicSettings = _settings_of("topic")
    _SubscriptionSettings = _settings_of("subscription")


class Queue(_QueueSettings, frozen=True, kw_only=True):
    """Takes a keyword argument for each setting of queues in `properties.py`: `Queue(name="q", lock_duration_s=30)`."""

    if TYPE_CHECKING:

        def __init__(self, *, name: str, **settings: Any) -> None: ...


class CorrelationFilter(_Value, frozen=True, kw_only=True):
    """A message matches if it has all of these values."""

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
    """Selects messages for a subscription, by an SQL expression or by equality."""

    name: str = DEFAULT_RULE
    sql: str | None = None
    correlation: CorrelationFilter | None = None
    action: str | None = None
    """SQL that changes the message's properties: `SET region = 'eu'`."""


class Subscription(_SubscriptionSettings, frozen=True, kw_only=True):
    """Takes a keyword argument for each setting of subscriptions in `properties.py`."""

    rules: tuple[Rule, ...] = ()

    if TYPE_CHECKING:

        def __init__(self, *, name: str, rules: tuple[Rule, ...] = (), **settings: Any) -> None: ...


class Topic(_TopicSettings, frozen=True, kw_only=True):
    """Takes a keyword argument for each setting of topics in `properties.py`."""

    subscriptions: tuple[Subscription, ...] = ()

    if TYPE_CHECKING:

        def __init__(self, *, name: str, subscriptions: tuple[Subscription, ...] = (), **settings: Any) -> None: ...


class AuthorizationRule(_Value, frozen=True, kw_only=True):
    """A key with these rights on one queue or topic, or else on the whole namespace."""

    name: str
    rights: tuple[Right, ...]
    queue: str = ""
    topic: str = ""


class RoleAssignment(_Value, frozen=True, kw_only=True):
    """Lets an identity send to or receive from one queue, topic or subscription with Entra ID."""

    role: Role
    principal_id: str
    """The object ID of the identity in Entra ID."""
    principal_type: PrincipalType = "ServicePrincipal"
    queue: str = ""
    topic: str = ""
    subscription: str = ""
    """A subscription of the topic; empty for the whole topic."""


class ServiceBusSpec(_Value, frozen=True, kw_only=True):
    """One task's infrastructure. In mode `entities`, it has no resource group, authorization rules and role
    assignments, and the namespace has at most a name and tier."""

    mode: Mode = "arm"
    subscription_id: str = ""
    """Empty: the default subscription of the credentials."""
    resource_group: ResourceGroup | None = None
    namespace: Namespace | None = None
    queues: tuple[Queue, ...] = ()
    topics: tuple[Topic, ...] = ()
    authorization_rules: tuple[AuthorizationRule, ...] = ()
    publisher: AuthorizationRule | None = None
    """The one of the authorization rules whose connection string becomes an output of the stack."""
    role_assignments: tuple[RoleAssignment, ...] = ()
    tags: dict[str, str] = {}
    """For the resource group and namespace, if created; entities have no tags in Azure."""
    import_existing: bool = False
    """Import every resource that already exists, as if each had `import`."""


def as_document(spec: ServiceBusSpec) -> dict[str, Any]:
    """Return the spec as JSON, for plan files and stack configuration. A spec has no secrets."""
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(spec))
    return document


def from_document(document: dict[str, Any]) -> ServiceBusSpec:
    """Return the spec. Raises ValueError whose message names the place and the problem."""
    return msgspec.convert(document, ServiceBusSpec)
