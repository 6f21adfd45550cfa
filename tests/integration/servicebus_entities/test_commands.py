"""Mode `entities` through the `dstream` command."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.management import ServiceBusAdministrationClient

from tests.running import DStream, Sandbox

_HCL = """
task "orders" {
  input {
    provider = "counter"
  }
  output {
    provider = "servicebus"
    config {
      mode                    = "entities"
      connection_string       = env("ASB_CONNECTION_STRING")
      admin_connection_string = env("ASB_ADMIN_CONNECTION_STRING")
      topic                   = "commands"
      subscriptions           = [{ name = "audit" }]
    }
  }
}
"""


def test_commands_create_entities_protect_messages_and_need_manage(
    dstream: Callable[..., DStream], sandbox: Sandbox, administration: ServiceBusAdministrationClient
) -> None:
    run = dstream(_HCL, sandbox.env)
    done = run("init", "orders", "--yes")
    assert done.returncode == 0, done.stderr
    assert administration.get_topic("commands").requires_duplicate_detection
    assert administration.get_subscription("commands", "audit").name == "audit"

    (run.cwd / "dstream.hcl").write_text(_HCL.replace('"commands"', '"Commands"').replace('"audit"', '"Audit"'))
    unchanged = run("plan", "orders", "--detailed-exitcode")  # names ignore case
    assert unchanged.returncode == 0, unchanged.stdout

    administration.create_subscription("commands", "of-another-task")
    client = ServiceBusClient.from_connection_string(sandbox.env["ASB_CONNECTION_STRING"])
    with client, client.get_topic_sender("commands") as sender:
        sender.send_messages(ServiceBusMessage("one"))
    guarded = run("destroy", "orders", "--yes")
    assert guarded.returncode == 5
    assert "commands/audit holds 1 message" in guarded.stderr
    assert re.search(r"contains subscription .*of-another-task \(1 message\)", guarded.stderr)

    key = "c2VjcmV0IGtleSB0aGF0IG5vYm9keSBtYXkgc2Vl"
    wrong = re.sub(r"(?<=SharedAccessKey=)[^;]+", key, sandbox.env["ASB_ADMIN_CONNECTION_STRING"])
    refused = DStream(run.cwd, {**sandbox.env, "ASB_ADMIN_CONNECTION_STRING": wrong})("plan", "orders")
    assert refused.returncode == 6
    assert "requires the Manage claim" in refused.stderr
    assert key not in refused.stderr

    # As with a connection string of another namespace, which has a topic of the same name.
    (record,) = (run.cwd / ".dstream").rglob("stacks/**/orders/*.json")
    recorded = record.read_text()
    record.write_text(re.sub(r'"namespace": *"sandbox"', '"namespace": "sb-other"', recorded))
    for command in (["status", "orders"], ["plan", "orders"], ["destroy", "orders", "--yes", "--allow-data-loss"]):
        elsewhere = run(*command)
        assert elsewhere.returncode == 3, elsewhere.stdout
        assert "the recorded entities are in namespace sb-other, but admin_connection_string connects to sandbox" in (
            elsewhere.stderr
        )
    record.write_text(recorded)

    assert run("destroy", "orders", "--yes", "--allow-data-loss").returncode == 0
    with pytest.raises(ResourceNotFoundError):
        administration.get_topic("commands")
