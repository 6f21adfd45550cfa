"""Mode `arm`: the Pulumi program that declares a spec as resources of Azure Resource Manager.

A resource's logical name is the entity's own: queue `orders`, subscription `events/audit`, rule `events/audit/eu`,
authorization rule `orders/sender`, role assignment `orders/Sender/PRINCIPAL`; their types keep the URNs distinct.
Resources have no parents, so `**::orders` selects the queue.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from dstream_stacks import resource_ids as ids
from dstream_stacks.declarations import Declaration, authorization_rule, declarations
from dstream_stacks.inputs import (
    dns_zone_inputs,
    namespace_inputs,
    network_rule_inputs,
    private_endpoint_inputs,
    snake_case,
)
from dstream_stacks.properties import properties_of
from dstream_stacks.references import References
from dstream_stacks.spec import Kept, Namespace, ResourceGroup, ServiceBusSpec
from dstream_stacks.tiers import unsupported
from dstream_stacks.turns import Turns
from dstream_stacks.unrecorded import Exists, Lookups, Unrecorded

if TYPE_CHECKING:
    import pulumi

_REPLACING = {
    "Subscription": [each.azure for each in properties_of("subscription") if each.replaces],
    "PrivateEndpoint": ["subnet", "privateLinkServiceConnections"],
}
"""azure-native itself replaces queues and topics. It would update a subscription, but Azure refuses: sessions are fixed
at creation, for subscriptions as for queues (Microsoft: "Service Bus Resource Manager exceptions", 40000). A private
endpoint stays in its subnet and connected to its namespace (azurerm, azurerm_private_endpoint: both force a new one).
"""
_DIAGNOSTICS = "dstream"
"""The name of the namespace's diagnostic setting."""
_FILTER_TYPES = {"sqlFilter": "SqlFilter", "correlationFilter": "CorrelationFilter"}

SeeNamespace = Callable[[str, int | None], None]
"""Called with the tier and capacity of an existing namespace."""
SeeSubscription = Callable[[str], None]
"""Called with the id of the Azure subscription that the credentials select."""


def arm_program(
    spec: ServiceBusSpec,
    *,
    exists: Exists | None = None,
    see_namespace: SeeNamespace = lambda *_: None,
    see_subscription: SeeSubscription | None = None,
    unrecorded: Unrecorded | None = None,
) -> Callable[[], Awaitable[object] | None]:
    """Return the program. `exists` is called for resources to import; by default it queries Azure, as the lookups for
    `unrecorded` do. Raises ValueError for an invalid spec.
    """
    if spec.resource_group is None or spec.namespace is None:
        raise ValueError("mode arm requires a resource group and a namespace")
    if spec.resource_group.create and not spec.namespace.create:
        raise ValueError("an existing namespace cannot be in a resource group that does not exist yet")
    group, namespace = spec.resource_group, spec.namespace

    def program() -> Awaitable[object] | None:
        if see_subscription is not None:
            from dstream_stacks.azure_lookup import current_subscription

            see_subscription(current_subscription())
        return _Program(spec, group, namespace, exists, see_namespace, unrecorded).run()

    return program


class _Program:
    """One run of the program."""

    def __init__(
        self,
        spec: ServiceBusSpec,
        group: ResourceGroup,
        namespace: Namespace,
        exists: Exists | None,
        see_namespace: SeeNamespace,
        unrecorded: Unrecorded | None,
    ) -> None:
        from pulumi_azure_native import authorization, resources, servicebus

        from dstream_stacks.azure_lookup import look_in_azure

        self._spec = spec
        self._group_spec = group
        self._namespace_spec = namespace
        self._given_exists = exists
        self._see_namespace = see_namespace
        self._lookups = Lookups(unrecorded, look_in_azure)
        self._authorization = authorization
        self._resources = resources
        self._servicebus = servicebus
        self._subscription_id = spec.subscription_id

    def run(self) -> Awaitable[object] | None:
        import pulumi

        group = self._resource_group()
        namespace, endpoint = self._namespace(group)
        place = {"resourceGroupName": group, "namespaceName": namespace}
        references, turns = References(), Turns()
        publisher = authorization_rule(self._spec.publisher) if self._spec.publisher else None
        for each in declarations(self._spec):
            if each.kind == "RoleAssignment":
                self._role_assignment(each, {**place, **references.parents(each)})
                continue
            in_turn = {"namespaceName": turns.after_others(each, namespace)}
            made = self._entity(each, _arguments({**place, **in_turn, **references.parents(each)}), references)
            references.add(each, made.name, made)
            turns.add(each, made)
            if each == publisher:
                keys_of = {**_arguments({**place, **references.parents(each)}), "authorization_rule_name": made.name}
                pulumi.export("connection_string", self._connection_string(each, keys_of))
        pulumi.export("namespace", namespace)
        pulumi.export("queues", [queue.name for queue in self._spec.queues])
        pulumi.export("topics", [topic.name for topic in self._spec.topics])
        pulumi.export("endpoint", endpoint)
        return self._lookups.under_way

    def _connection_string(self, rule: Declaration, keys_of: Mapping[str, Any]) -> Any:
        """Return it as a secret. A preview does not list keys, which takes more than the permission to read."""
        import pulumi

        if pulumi.runtime.is_dry_run():
            return pulumi.Output.secret(_known_later())
        from dstream_stacks.azure_lookup import LIST_KEYS

        list_keys = getattr(self._servicebus, f"{LIST_KEYS[f'azure-native:servicebus:{rule.kind}']}_output")
        keys = list_keys(**keys_of)
        return pulumi.Output.secret(keys.primary_connection_string)

    def _resource_group(self) -> Any:
        """Return its name. An existing group is only referenced by name and never recorded."""
        group = self._group_spec
        if not group.create:
            return group.name
        return self._resources.ResourceGroup(
            group.name,
            resource_group_name=group.name,
            location=group.location or None,
            tags=self._tags(group),
            opts=self._options(group, ids.RESOURCE_GROUP, group.name, {}),
        ).name

    def _namespace(self, group: Any) -> tuple[Any, Any]:
        """Return its name and endpoint."""
        namespace = self._namespace_spec
        if not namespace.create:
            from dstream_stacks.azure_lookup import existing_namespace

            return namespace.name, self._endpoint(existing_namespace(namespace.name, self._group_spec.name))
        made = self._servicebus.Namespace(
            namespace.name,
            resource_group_name=group,
            namespace_name=namespace.name,
            location=namespace.location or None,
            tags=self._tags(namespace),
            **self._typed(namespace_inputs(namespace)),
            opts=self._options(namespace, ids.NAMESPACE, namespace.name, {}, ignored=_unmanaged(namespace)),
        )
        if namespace.log_analytics_workspace:
            self._diagnostics(namespace, made.id)
        self._network(namespace, made, group)
        return made.name, made.service_bus_endpoint

    def _network(self, namespace: Namespace, made: Any, group: Any) -> None:
        """Declare who may connect. Network rules are not deleted if the namespace is: azure-native would reset them to
        Allow (pulumi-azure-native, pull request 4691), which opens the namespace until it is gone.
        """
        kept = Kept(retain_on_delete=namespace.retain_on_delete, import_=namespace.import_)
        if namespace.network_rules is not None:
            rules = network_rule_inputs(namespace.network_rules, namespace.public_network_access)
            inputs = {"resourceGroupName": group, "namespaceName": made.name, **rules}
            ignored = [] if "publicNetworkAccess" in rules else ["publicNetworkAccess"]
            options = self._options(
                kept, ids.NETWORK_RULE_SET, name := f"{namespace.name}/network-rules", {}, ignored=ignored
            )
            self._untyped(ids.NETWORK_RULE_SET, name, inputs, options, made)
        for each in namespace.private_endpoints:
            path = {"privateEndpointName": each.name}
            inputs = {"resourceGroupName": group, **path, **private_endpoint_inputs(each, namespace.location, made.id)}
            # Azure moves the DNS configuration to the zone group.
            options = self._options(kept, ids.PRIVATE_ENDPOINT, each.name, path, ignored=["customDnsConfigs"])
            endpoint = self._untyped(ids.PRIVATE_ENDPOINT, each.name, inputs, options)
            if each.dns_zone:
                own = {"privateDnsZoneGroupName": "default"}
                after = {"privateEndpointName": endpoint.id.apply(partial(_once_known, each.name))}
                inputs = {"resourceGroupName": group, **after, **own, **dns_zone_inputs(each)}
                options = self._options(kept, ids.DNS_ZONE_GROUP, name := f"{each.name}/dns", {**path, **own})
                self._untyped(ids.DNS_ZONE_GROUP, name, inputs, options, endpoint)

    def _untyped(
        self,
        resource_type: str,
        name: str,
        inputs: Mapping[str, Any],
        options: pulumi.ResourceOptions,
        within: pulumi.Resource | None = None,
    ) -> pulumi.CustomResource:
        """Declare a resource without its class, since importing pulumi_azure_native.network takes seconds. `within`:
        the resource that contains it, with which it is deleted.
        """
        import pulumi
        from pulumi_azure_native._utilities import get_resource_opts_defaults

        options.deleted_with = within
        merged = pulumi.ResourceOptions.merge(get_resource_opts_defaults(), options)
        return pulumi.CustomResource(resource_type, name, dict(inputs), merged)

    def _diagnostics(self, namespace: Namespace, namespace_id: Any) -> None:
        """Send all of its logs and metrics to a workspace (Microsoft: "Diagnostic settings in Azure Monitor")."""
        # Not through the lazy module pulumi_azure_native.monitor: Python 3.11 shows it half loaded to other threads.
        from pulumi_azure_native.monitor.diagnostic_setting import DiagnosticSetting

        name = f"{namespace.name}/{_DIAGNOSTICS}"
        kept = Kept(retain_on_delete=namespace.retain_on_delete, import_=namespace.import_)
        path = {"resourceUri": self._id(ids.NAMESPACE, {}), "name": _DIAGNOSTICS}
        DiagnosticSetting(
            name,
            name=_DIAGNOSTICS,
            resource_uri=namespace_id,
            workspace_id=namespace.log_analytics_workspace,
            logs=[{"category_group": "allLogs", "enabled": True}],
            metrics=[{"category": "AllMetrics", "enabled": True}],
            opts=self._options(kept, ids.DIAGNOSTIC_SETTING, name, path),
        )

    def _tags(self, kept: Kept) -> Mapping[str, str] | None:
        """Without tags, the engine cannot keep the ignored ones."""
        keeps_some = any(path.startswith(("tags.", "tags[")) for path in kept.ignore_changes)
        return self._spec.tags or ({} if keeps_some else None)

    def _endpoint(self, found: Any) -> Any:
        if found.sku is not None:
            self._see_namespace(found.sku.name, found.sku.capacity)
            self._check_tier(found.sku.name)
        return found.service_bus_endpoint

    def _check_tier(self, tier: str) -> None:
        """Raise RunError for all settings that the tier lacks: some are on by default unless the tier is known."""
        import pulumi

        found = [f"{setting} ({entity})" for entity, setting in unsupported(self._spec, tier)]
        if found:
            raise pulumi.RunError(
                f'{tier}, the tier of namespace "{self._namespace_spec.name}", does not support {", ".join(found)}: '
                f'set sku = "{tier}", so that DStream knows, and remove {"it" if len(found) == 1 else "them"} if set'
            )

    def _entity(self, each: Declaration, place: Mapping[str, Any], references: References) -> Any:
        resource = getattr(self._servicebus, each.kind)
        own = _arguments(each.own_name())
        options = self._options(each.kept, f"azure-native:servicebus:{each.kind}", each.name, each.path)
        options.deleted_with = references.deleted_with(each)
        return resource(
            each.name,
            **place,
            **own,
            **self._typed(references.forwarding(each.inputs)),
            opts=options,
        )

    def _role_assignment(self, each: Declaration, names: Mapping[str, Any]) -> None:
        """Declare it. The scope contains the entity's name as an output, so replacing the entity replaces it."""
        import pulumi

        subscription_id, scope_type = self._subscription(), _scope_type(each)
        self._authorization.RoleAssignment(
            each.name,
            scope=pulumi.Output.format(ids.PATHS[scope_type], subscriptionId=subscription_id, **names),
            **_arguments(each.own_name()),
            principal_id=each.inputs["principalId"],
            principal_type=each.inputs["principalType"],
            role_definition_id=f"/subscriptions/{subscription_id}{each.inputs['roleDefinitionId']}",
            opts=self._options(
                each.kept, ids.ROLE_ASSIGNMENT, each.name, {**each.path, "scope": self._id(scope_type, each.path)}
            ),
        )

    def _typed(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments for the classes: in snake case, with nested values in their own classes."""
        classes = {
            "sku": self._servicebus.SBSkuArgs,
            "sqlFilter": self._servicebus.SqlFilterArgs,
            "correlationFilter": self._servicebus.CorrelationFilterArgs,
            "action": self._servicebus.ActionArgs,
        }
        typed = {
            name: classes[name](**_arguments(value)) if name in classes else value for name, value in inputs.items()
        }
        if filters := _FILTER_TYPES.keys() & inputs.keys():
            typed["filterType"] = _FILTER_TYPES[filters.pop()]
        return _arguments(typed)

    def _options(
        self, kept: Kept, resource_type: str, name: str, path: Mapping[str, str], *, ignored: Sequence[str] = ()
    ) -> pulumi.ResourceOptions:
        import pulumi

        imports = kept.import_ or self._spec.import_existing
        if not imports and self._lookups.wants(resource_type, name):
            self._lookups.look(resource_type, name, self._id(resource_type, path))
        return pulumi.ResourceOptions(
            protect=kept.protect,
            retain_on_delete=kept.retain_on_delete,
            ignore_changes=[*ignored, *kept.ignore_changes] or None,
            delete_before_replace=True,  # the names are fixed, so both cannot exist at the same time
            replace_on_changes=_REPLACING.get(resource_type.rpartition(":")[2]),
            import_=self._id_if_exists(resource_type, path) if imports else None,
        )

    def _id_if_exists(self, resource_type: str, path: Mapping[str, str]) -> str | None:
        resource_id = self._id(resource_type, path)
        return resource_id if self._exists(resource_type, resource_id) else None

    def _id(self, resource_type: str, path: Mapping[str, str]) -> str:
        names = {"resourceGroupName": self._group_spec.name, "namespaceName": self._namespace_spec.name, **path}
        resource_id = ids.resource_id(resource_type, names, self._subscription())
        assert resource_id is not None  # every path is complete
        return resource_id

    def _subscription(self) -> str:
        from dstream_stacks.azure_lookup import current_subscription

        self._subscription_id = self._subscription_id or current_subscription()
        return self._subscription_id

    def _exists(self, resource_type: str, resource_id: str) -> bool:
        from dstream_stacks.azure_lookup import exists_in_azure

        return (self._given_exists or exists_in_azure)(resource_type, resource_id)


def _unmanaged(namespace: Namespace) -> list[str]:
    """The namespace's properties whose actual value stays.

    Azure turns zone redundancy on by itself (pulumi-azure-native, pull request 4210). If publicNetworkAccess is unset,
    azure-native's class sets it to Enabled (3.29.0, namespace.py), which would open an imported private namespace.
    """
    return ["zoneRedundant", *["publicNetworkAccess"] * (namespace.public_network_access is None)]


def _once_known(value: str, _: object) -> str:
    """Return the value, but only after the output that calls this is known."""
    return value


def _scope_type(role_assignment: Declaration) -> str:
    if "subscriptionName" in role_assignment.path:
        return ids.SUBSCRIPTION
    return ids.TOPIC if "topicName" in role_assignment.path else ids.QUEUE


def _arguments(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {snake_case(name): value for name, value in inputs.items()}


def _known_later() -> Any:
    import asyncio

    import pulumi
    from pulumi.output import UNKNOWN

    value, is_known = asyncio.Future[Any](), asyncio.Future[bool]()
    value.set_result(UNKNOWN)
    is_known.set_result(False)
    return pulumi.Output(set(), value, is_known)
