"""The Pulumi programs of a deployment to Azure Container Apps, with azure-native's classes.

A resource's logical name is its name in Azure; a role assignment's is `TASK/ROLE`. Resources have no parents.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dstream_stacks import resource_ids as ids
from dstream_stacks.container_apps import (
    ROLES,
    AppSpec,
    GrantedRole,
    SharedSpec,
    StateStorage,
    assignment_name,
)
from dstream_stacks.unrecorded import Lookups, Unrecorded

if TYPE_CHECKING:
    import pulumi

SeeSubscription = Callable[[str], None]
"""Called with the id of the Azure subscription."""
Program = Callable[[], Awaitable[object] | None]


def shared_program(
    spec: SharedSpec, *, imports: bool = False, unrecorded: Unrecorded | None = None, see: SeeSubscription | None = None
) -> Program:
    """Return the program of the resources that all tasks share. `imports`: import what exists."""

    def program() -> Awaitable[object] | None:
        azure = _Azure(spec.subscription_id, spec.resource_group, imports, unrecorded, see)
        common = _common(spec)
        if spec.create_resource_group:
            common["resource_group_name"] = _resource_group(spec, azure)
        if spec.environment:
            _environment(spec, azure, common)
        if spec.storage:
            _storage(spec.storage, azure, common)
        return azure.under_way

    return program


def app_program(
    spec: AppSpec, *, imports: bool = False, unrecorded: Unrecorded | None = None, see: SeeSubscription | None = None
) -> Program:
    """Return the program of one task's container app."""

    def program() -> Awaitable[object] | None:
        azure = _Azure(spec.subscription_id, spec.resource_group, imports, unrecorded, see)
        common = _common(spec)
        from pulumi_azure_native.managedidentity.user_assigned_identity import UserAssignedIdentity

        identity = UserAssignedIdentity(
            spec.identity,
            resource_name_=spec.identity,
            **common,
            opts=azure.options(ids.IDENTITY, spec.identity, {"resourceName": spec.identity}),
        )
        granted = [_role_assignment(each, spec, identity, azure) for each in spec.grants]
        _container_app(spec, identity, granted, azure, common)
        return azure.under_way

    return program


class _Azure:
    """Options of resources: where they are, whether they exist."""

    def __init__(
        self,
        subscription_id: str,
        resource_group: str,
        imports: bool,
        unrecorded: Unrecorded | None,
        see: SeeSubscription | None,
    ) -> None:
        from dstream_stacks.azure_lookup import current_subscription, exists_in_azure, look_in_azure

        self.subscription_id = subscription_id or current_subscription()
        if see is not None:
            see(self.subscription_id)
        self._group = resource_group
        self._imports = imports
        self._exists = exists_in_azure
        self._lookups = Lookups(unrecorded, look_in_azure)

    @property
    def under_way(self) -> Awaitable[object] | None:
        return self._lookups.under_way

    def id(self, resource_type: str, path: Mapping[str, str]) -> str:
        resource_id = ids.resource_id(resource_type, {"resourceGroupName": self._group, **path}, self.subscription_id)
        assert resource_id is not None  # every path is complete
        return resource_id

    def options(
        self,
        resource_type: str,
        name: str,
        path: Mapping[str, str],
        *,
        replaces: Sequence[str] = (),
        depends_on: Sequence[Any] = (),
        within: pulumi.Resource | None = None,
    ) -> pulumi.ResourceOptions:
        """`within`: the resource with which it is deleted."""
        import pulumi

        resource_id = self.id(resource_type, path)
        if not self._imports and self._lookups.wants(resource_type, name):
            self._lookups.look(resource_type, name, resource_id)
        return pulumi.ResourceOptions(
            delete_before_replace=True,  # the names are fixed, so both cannot exist at the same time
            replace_on_changes=list(replaces) or None,
            depends_on=list(depends_on) or None,
            deleted_with=within,
            import_=resource_id if self._imports and self._exists(resource_type, resource_id) else None,
        )


def _common(spec: SharedSpec | AppSpec) -> dict[str, Any]:
    return {"resource_group_name": spec.resource_group, "location": spec.location, "tags": spec.tags or None}


def _resource_group(spec: SharedSpec, azure: _Azure) -> Any:
    """Declare the group, and return its name."""
    from pulumi_azure_native.resources.resource_group import ResourceGroup

    name = spec.resource_group
    return ResourceGroup(
        name,
        resource_group_name=name,
        location=spec.location,
        tags=spec.tags or None,
        opts=azure.options(ids.RESOURCE_GROUP, name, {}),
    ).name


def _environment(spec: SharedSpec, azure: _Azure, common: Mapping[str, Any]) -> None:
    """Declare the environment. It sends its logs through Azure Monitor, because the other destination, log-analytics,
    takes the workspace's key (Microsoft, "Log storage and monitoring options in Azure Container Apps").
    """
    from pulumi_azure_native.app import _inputs as args
    from pulumi_azure_native.app.managed_environment import ManagedEnvironment
    from pulumi_azure_native.monitor._inputs import DiagnosticsLogSettingsArgs
    from pulumi_azure_native.monitor.diagnostic_setting import DiagnosticSetting
    from pulumi_azure_native.operationalinsights._inputs import WorkspaceSkuArgs
    from pulumi_azure_native.operationalinsights.workspace import Workspace

    name = spec.environment
    workspace_id: Any = spec.workspace.id
    if not workspace_id:
        workspace = spec.workspace.name
        workspace_id = Workspace(
            workspace,
            workspace_name=workspace,
            sku=WorkspaceSkuArgs(name="PerGB2018"),
            retention_in_days=30,
            **common,
            opts=azure.options(ids.WORKSPACE, workspace, {"workspaceName": workspace}),
        ).id
    environment = ManagedEnvironment(
        name,
        environment_name=name,
        app_logs_configuration=args.AppLogsConfigurationArgs(destination="azure-monitor"),
        workload_profiles=[args.WorkloadProfileArgs(name="Consumption", workload_profile_type="Consumption")],
        **common,
        opts=azure.options(ids.ENVIRONMENT, name, {"environmentName": name}),
    )
    path = {"resourceUri": azure.id(ids.ENVIRONMENT, {"environmentName": name}), "name": "dstream"}
    DiagnosticSetting(
        f"{name}/logs",
        name="dstream",
        resource_uri=environment.id,
        workspace_id=workspace_id,
        logs=[DiagnosticsLogSettingsArgs(category_group="allLogs", enabled=True)],
        opts=azure.options(ids.DIAGNOSTIC_SETTING, f"{name}/logs", path, within=environment),
    )


def _storage(storage: StateStorage, azure: _Azure, common: Mapping[str, Any]) -> None:
    """Declare the account: no shared keys, no public access (Microsoft, "Prevent authorization with Shared Key")."""
    from pulumi_azure_native.storage._inputs import SkuArgs
    from pulumi_azure_native.storage.blob_container import BlobContainer
    from pulumi_azure_native.storage.storage_account import StorageAccount

    path = {"accountName": storage.account}
    account = StorageAccount(
        storage.account,
        account_name=storage.account,
        kind="StorageV2",
        sku=SkuArgs(name="Standard_LRS"),
        allow_blob_public_access=False,
        allow_shared_key_access=False,
        enable_https_traffic_only=True,
        minimum_tls_version="TLS1_2",
        **common,
        opts=azure.options(ids.STORAGE_ACCOUNT, storage.account, path),
    )
    name = f"{storage.account}/{storage.container}"
    BlobContainer(
        name,
        resource_group_name=common["resource_group_name"],
        account_name=account.name,
        container_name=storage.container,
        public_access="None",
        opts=azure.options(ids.BLOB_CONTAINER, name, {**path, "containerName": storage.container}, within=account),
    )


def _role_assignment(grant: GrantedRole, spec: AppSpec, identity: Any, azure: _Azure) -> Any:
    """Assign the role. With a principal type, Azure does not look the new identity up in a directory that may not have
    it yet (Microsoft, "Troubleshoot Azure RBAC").
    """
    from pulumi_azure_native.authorization.role_assignment import RoleAssignment

    scope = grant.scope if grant.scope.startswith("/subscriptions/") else _below(azure.subscription_id, grant.scope)
    identity_id = azure.id(ids.IDENTITY, {"resourceName": spec.identity})
    name = f"{spec.name}/{grant.role}"
    own = assignment_name(scope, identity_id, grant.role)
    return RoleAssignment(
        name,
        scope=scope,
        role_assignment_name=own,
        principal_id=identity.principal_id,
        principal_type="ServicePrincipal",
        role_definition_id=_below(
            azure.subscription_id, f"/providers/Microsoft.Authorization/roleDefinitions/{ROLES[grant.role]}"
        ),
        opts=azure.options(
            ids.ROLE_ASSIGNMENT,
            name,
            {"scope": scope, "roleAssignmentName": own},
            replaces=["principalId", "roleDefinitionId"],  # Azure refuses to change them
        ),
    )


def _container_app(
    spec: AppSpec, identity: Any, granted: Sequence[Any], azure: _Azure, common: Mapping[str, Any]
) -> None:
    """Declare the app, after the roles that it needs to pull its image and read its secrets.

    It has no ingress. One revision is active: the next one starts as a standby, is ready at once, and takes over when
    Container Apps deactivates the last one (Microsoft, "Update and deploy changes in Azure Container Apps"). Without a
    name, the workload profile is Consumption; an existing environment of the type Consumption only refuses any name
    (Azure/bicep-registry-modules, issue 2517).
    """
    from pulumi_azure_native.app._inputs import ManagedServiceIdentityArgs
    from pulumi_azure_native.app.container_app import ContainerApp

    from dstream_stacks.container_app_template import configuration, template

    ContainerApp(
        spec.name,
        container_app_name=spec.name,
        managed_environment_id=spec.environment
        if spec.environment.startswith("/")
        else azure.id(ids.ENVIRONMENT, {"environmentName": spec.environment}),
        identity=ManagedServiceIdentityArgs(type="UserAssigned", user_assigned_identities=[identity.id]),
        configuration=configuration(spec, identity.id),
        template=template(spec, identity.client_id),
        **common,
        opts=azure.options(
            ids.CONTAINER_APP,
            spec.name,
            {"containerAppName": spec.name},
            replaces=["managedEnvironmentId"],  # azurerm, azurerm_container_app: forces a new one
            depends_on=granted,
        ),
    )


def _below(subscription_id: str, path: str) -> str:
    return f"/subscriptions/{subscription_id}{path}"
