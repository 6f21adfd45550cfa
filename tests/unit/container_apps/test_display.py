"""How a plan shows a container app."""

from __future__ import annotations

from dstream_container_apps.display import ContainerAppsDisplay, in_parts
from dstream_stacks import resource_ids as ids
from dstream_stacks.container_apps import ROLES

from dstream.sdk import Difference, Resource

CONTAINER = {
    "image": "a:1",
    "args": ["run", "orders"],
    "env": [{"name": "TZ", "value": "UTC"}, {"name": "MSSQL", "secretRef": "mssql"}],
    "resources": {"cpu": 0.5, "memory": "1Gi"},
    "probes": [],
}


def test_a_new_container_is_shown_in_parts() -> None:
    app = Resource("orders", ids.CONTAINER_APP, "create", [Difference("template.containers", None, [CONTAINER])])
    (shown,) = in_parts([app])
    assert {each.label or each.path: each.new_text or each.new for each in shown.diff} == {
        "image": "a:1",
        "arguments": "run orders",
        "environment variables": "TZ=UTC, MSSQL=from Key Vault",
        "cores": 0.5,
        "memory": "1Gi",
    }


def test_what_is_not_known_yet_is_shown_as_it_is() -> None:
    unknown = Difference("template.containers", None, "(known after init)")
    app = Resource("orders", ids.CONTAINER_APP, "create", [unknown])
    assert in_parts([app]) == [app]
    assert ContainerAppsDisplay().text(ids.CONTAINER_APP, "workloadProfiles", "***") == ""


def test_a_role_is_shown_by_its_name() -> None:
    role = f"/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions/{ROLES['AcrPull']}"
    assert ContainerAppsDisplay().text(ids.ROLE_ASSIGNMENT, "roleDefinitionId", role) == "AcrPull"
