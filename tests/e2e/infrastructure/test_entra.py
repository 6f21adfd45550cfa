"""Access with Entra ID: the roles are assigned, and no key leaves the namespace."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from dstream_sandbox.folder import SUBSCRIPTION_ID
from dstream_stacks import resource_ids as ids
from dstream_stacks.roles import role_definition_id

from tests.e2e.infrastructure.cases import Case, Make, Provisioned
from tests.integration.sandbox_azure.calls import Calls
from tests.running import BIN, DStream, Sandbox

SENDER = "5f0c1f6e-6b0a-4b6b-9a52-0d3f6f1f8a11"
RECEIVER = "c1d7f2a4-3f0e-4f57-8f0b-7a0f5f3f9b22"
SETTINGS = f"""\
      connection          = "stack"
      disable_local_auth  = true
      authorization_rules = [{{ name = "unused", rights = ["Send"] }}]
      role_assignments = [
        {{ role = "Sender", principal_id = "{SENDER}" }},
        {{ role = "Receiver", principal_id = "{RECEIVER}", subscription = "eu" }},
      ]
"""


def keys_of(project: Provisioned, namespace: str) -> Iterator[str]:
    """The keys that Azure keeps for the namespace."""
    kept = json.loads(next(project.sandbox.folder.path.rglob("azure.json")).read_text())
    for each in kept["namespaces"]:
        if each["name"] == namespace:
            for policy in each["policies"]:
                yield policy["primary_key"]
                yield policy["secondary_key"]


def test_roles_are_assigned_and_no_key_is_recorded_or_shown(provisioned: Make) -> None:
    case = Case("namespace", "topic", "entra")
    project = provisioned(case.hcl(more=SETTINGS))

    shown = project.succeed("plan", "orders", "--out", "orders.plan")
    assert f"entra/Sender/{SENDER}" in shown
    assert "Azure Service Bus Data Sender" in shown
    shown += project.succeed("init", "--plan", "orders.plan", "--yes")
    shown += project.succeed("status", "orders", "--json", "--detailed-exitcode")
    assert "connection_string" not in shown

    keys = list(keys_of(project, "sb-entra"))
    assert len(keys) == 4  # of the rule, and of RootManageSharedAccessKey
    files = [each for each in project.dstream.cwd.rglob("*") if each.is_file()]
    assert project.records[0] in files
    texts = [shown, *(each.read_text(errors="replace") for each in files)]
    assert not [key for key in keys for text in texts if key in text]
    assert project.summary("plan", "orders") == {"same": 13}


PUBLISHING = """\
task "orders" {
  input {
    provider = "counter"
    config {
      count    = 5
      interval = "1ms"
    }
  }
  output {
    provider = "servicebus"
    config {
      namespace  = env("NAMESPACE")
      credential = "cli"
      ca_file    = env("SANDBOX_CA_FILE")
      queue      = "by-identity"
    }
  }
}
"""


def test_an_identity_publishes_with_its_role_alone(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.create_queue("by-identity")
    az = tmp_path / "bin" / "az"
    az.parent.mkdir()
    (tmp_path / "dstream.hcl").write_text(PUBLISHING)
    env = {
        **sandbox.env,
        "PATH": f"{az.parent}:{BIN}:{os.environ['PATH']}",
        "NAMESPACE": f"localhost:{sandbox.settings.amqps_port}",
    }
    dstream = DStream(tmp_path, env)

    def run(script: str) -> str:
        az.write_text(f"#!/bin/sh\n{script}\n")
        az.chmod(0o700)
        done = dstream("run", "orders", "--no-restart")
        return f"{done.returncode} {done.stderr}"

    signed_out = run("echo \"Please run 'az login' to setup account.\" >&2; exit 1")
    assert signed_out.startswith("6 ")
    assert "servicebus.sign_in_failed" in signed_out
    assert "az login" in signed_out

    signed_in = f"exec dstream sandbox token {SENDER} --data {sandbox.folder.path}"
    without_role = run(signed_in)
    assert without_role.startswith("6 ")
    assert "servicebus.unauthorized" in without_role
    assert "Azure Service Bus Data Sender" in without_role

    calls = Calls(sandbox.settings.azure_port)
    names = {"resourceGroupName": "sandbox", "namespaceName": "sandbox", "queueName": "by-identity"}
    scope = f"/subscriptions/{SUBSCRIPTION_ID}" + ids.PATHS[ids.QUEUE].partition("}")[2].format(**names)
    calls.create(
        "authorization:RoleAssignment",
        {
            "scope": scope,
            "roleAssignmentName": SENDER,
            "principalId": SENDER,
            "principalType": "ServicePrincipal",
            "roleDefinitionId": role_definition_id("Sender"),
        },
    )
    calls.close()
    assert run(signed_in).startswith("0 ")
    assert len(sandbox.receive("by-identity", 5)) == 5
