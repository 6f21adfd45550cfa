"""`dstream deploy` to Azure Container Apps, with the real engine and the sandbox's Azure."""

from __future__ import annotations

import json
from typing import Any
from urllib.request import Request, urlopen

import pytest
from dstream_sandbox.control_access import authorization, ensure_token
from dstream_sandbox.folder import ARM_PATH, SUBSCRIPTION_ID

from tests.e2e.infrastructure.cases import Make, Provisioned

_HCL = """\
dstream {{
  state {{
    backend = "azblob"
    url     = "https://st{name}.blob.core.windows.net/checkpoints"
  }}
  audit {{
    file = "audit.jsonl"
  }}
}}

task "{name}" {{
  input {{
    provider = "mssql_cdc"
    config {{
      db_connection_string = env("MSSQL_CONNECTION_STRING_{name}")
      tables               = ["dbo.Orders"]
    }}
  }}
  output {{
    provider = "servicebus"
    config {{
      resource_group = "sandbox"
      namespace      = "sandbox"
      queue          = "{name}"
{output}    }}
  }}
}}

deployment "aca" {{
  provider = "container_apps"
  config {{
    resource_group = "sandbox"
    location       = "westeurope"
    environment    = "cae-{name}"
    image          = "example.azurecr.io/dstream:{tag}"
    secrets        = {{ MSSQL_CONNECTION_STRING_{name} = "azurekeyvault://kv-retail/mssql" }}
{more}  }}
}}
"""
_KINDS = ["environment", "container app", "identity", "role assignment", "storage account", "blob container"]


_KEY = '      connection_string = env("ASB_CONNECTION_STRING")\n'


def hcl(name: str, *, tag: str = "1", output: str = "", more: str = "") -> str:
    return _HCL.format(name=name, tag=tag, output=output, more=more)


def test_a_deployment_is_planned_applied_updated_and_repaired(provisioned: Make) -> None:
    name = "life"
    project = provisioned(hcl(name))
    project.succeed("init", name, "--yes")

    plan = project.succeed("deploy", "plan", name, "--target", "aca", "--detailed-exitcode", code=2)
    assert [kind for kind in _KINDS if f"+ {kind}" not in plan] == []
    assert "Azure Service Bus Data Sender" in plan
    assert f"Next: dstream deploy init aca {name} --target aca" in plan
    done = project.dstream("deploy", "init", name, "--yes", "--json", "--log-level", "debug")
    assert done.returncode == 0, done.stderr
    assert by_task(done.stdout) == {"aca": {"create": 5}, name: {"create": 4}}
    app = container_app(project, name)
    (container,) = app["template"]["containers"]
    assert container["args"][:4] == ["run", name, "--config", "/dstream/dstream.hcl"]
    assert "--standby" in container["args"]
    recorded = [each.read_text() for each in (project.dstream.cwd / ".dstream").rglob("*") if each.is_file()]
    assert any(f"containerApps/{name}" in text for text in recorded)
    for text in [*recorded, done.stdout, done.stderr]:
        assert "db_connection_string" not in text, "the configuration is recorded in plain text"
        assert "SharedAccessKey" not in text

    app["template"]["containers"][0]["image"] = "example.azurecr.io/other:9"
    put_container_app(project, name, app)
    drifted = project.succeed("deploy", "status", name, "--detailed-exitcode", code=2)
    assert "example.azurecr.io/dstream:1 recorded, example.azurecr.io/other:9 actual" in drifted
    assert f"Fix the drift:  dstream deploy init {name}" in drifted
    assert "stream  " not in drifted, "a deployment has no stream on this machine"
    project.write(hcl(name, tag="2"))
    repaired = by_task(project.succeed("deploy", "init", name, "--yes", "--json"))
    assert repaired == {"aca": {"same": 5}, name: {"same": 3, "update": 1}}
    assert container_app(project, name)["template"]["containers"][0]["image"] == "example.azurecr.io/dstream:2"
    assert "4 as recorded" in project.succeed("deploy", "status", name, "--detailed-exitcode")


def test_a_stale_plan_and_the_loss_of_checkpoints_are_refused(provisioned: Make) -> None:
    name, group = "guarded", "rg-guarded"

    def text(tag: str) -> str:
        whole = hcl(name, output=_KEY, tag=tag, more="    create_resource_group = true\n")
        before, block, deployment = whole.partition("deployment")
        return before + block + deployment.replace('resource_group = "sandbox"', f'resource_group = "{group}"')

    project = provisioned(text("1"))
    project.succeed("deploy", "plan", name, "--out", "plan.json")
    project.write(text("2"))
    stale = project.dstream("deploy", "init", "--plan", "plan.json", "--yes")
    assert stale.returncode == 5
    assert "plan.stale" in stale.stderr
    assert f"dstream deploy plan aca {name}" in stale.stderr
    assert project.records == []
    project.write(text("1"))
    project.succeed("deploy", "init", "--plan", "plan.json", "--yes")

    refused = project.dstream("deploy", "destroy", "aca", "--yes")
    assert refused.returncode == 5
    assert "deploy.in_use" in refused.stderr
    refused = project.dstream("deploy", "destroy", "--all", "--yes")
    assert refused.returncode == 5
    assert "plan.data_loss" in refused.stderr
    assert f"dstream deploy destroy aca --allow-data-loss --confirm {group} --confirm st{name}" in refused.stderr
    refused = project.dstream("deploy", "destroy", "--all", "--yes", "--allow-data-loss", "--confirm", f"st{name}")
    assert refused.returncode == 5
    assert f"{group} may contain checkpoints and resources of others" in refused.stderr
    assert container_app(project, name, group)["template"]["containers"][0]["image"] == "example.azurecr.io/dstream:1"
    allowed = ("--allow-data-loss", "--confirm", f"st{name}", "--confirm", group)
    done = by_task(project.succeed("deploy", "destroy", "--all", "--yes", "--json", *allowed))
    assert done == {"aca": {"delete": 6}, name: {"delete": 3}}
    assert project.records == []
    entries = [json.loads(line) for line in (project.dstream.cwd / "audit.jsonl").read_text().splitlines()]
    assert [(each["command"], each["tasks"]) for each in entries if each["phase"] == "result"] == [
        ("deploy init", ["aca", name]),
        ("deploy destroy", ["aca", name]),
    ]


@pytest.mark.parametrize(
    ("output", "more", "code", "place"),
    [
        (
            '      client_secret = "Hunter2Hunter2"\n',
            "",
            "deploy.literal_secret",
            "dstream.hcl:25",
        ),
        ('      connection = "stack"\n', "", "container_apps.needs_engine", ""),
        ("", '    registry = "crretail"\n', "container_apps.bad_id", "dstream.hcl:37"),
        ("", "    cpu = 0.3\n", "container_apps.bad_cpu", "dstream.hcl:37"),
    ],
    ids=["literal-secret", "stack", "registry", "cpu"],
)
def test_a_deployment_that_could_not_run_is_refused_before_anything_is_created(
    output: str, more: str, code: str, place: str, provisioned: Make
) -> None:
    project = provisioned(hcl("refused", output=output, more=more))
    done = project.dstream("deploy", "init", "refused", "--yes")
    assert done.returncode == 3, done.stderr
    assert code in done.stderr
    assert place in done.stderr
    assert "Hunter2" not in done.stdout + done.stderr
    assert project.records == []


def by_task(output: str) -> dict[str, dict[str, int]]:
    return {each["task"]: each["summary"] for each in json.loads(output)["tasks"]}


def container_app(project: Provisioned, name: str, group: str = "sandbox") -> dict[str, Any]:
    found: dict[str, Any] = _request(project, name, "GET", group=group)["properties"]
    return found


def put_container_app(project: Provisioned, name: str, properties: dict[str, Any]) -> None:
    """Change the app outside DStream."""
    _request(project, name, "PUT", {"properties": properties})


def _request(project: Provisioned, name: str, method: str, body: object = None, group: str = "sandbox") -> Any:
    sandbox = project.sandbox
    path = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/{group}/providers/Microsoft.App/containerApps/{name}"
    url = f"http://127.0.0.1:{sandbox.settings.admin_port}{ARM_PATH}{path}?api-version=2025-02-02-preview"
    headers = {**authorization(ensure_token(sandbox.folder.control_token)), "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, headers, method=method), timeout=60) as answer:
        return json.load(answer)
