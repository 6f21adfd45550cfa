"""Renamed and removed tasks keep their infrastructure, and records are edited without touching it."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

from azure.servicebus import ServiceBusClient, ServiceBusMessage

from tests.e2e.infrastructure.cases import ENTITIES, Case, Make, creations, max_delivery_count, task

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"
MESSAGES = 3


def recipe(heading: str) -> list[list[str]]:
    """The `dstream` commands of the first shell block under a heading of PAGE, without "dstream"."""
    block = PAGE.read_text().partition(f"### {heading}\n")[2].partition("```sh\n")[2].partition("```")[0]
    return [shlex.split(line, comments=True)[1:] for line in block.splitlines()]


def with_queues(**queues: str) -> str:
    """HCL with a task for each name, and its queues, separated by spaces."""
    tasks = []
    for name, of_task in queues.items():
        entities = ", ".join(f'"{each}" = {{}}' for each in of_task.split())
        config = f'{ENTITIES}      queue = "{{TableName}}"\n      entities = {{ {entities} }}\n'
        tasks.append(task(config).replace('task "orders"', f'task "{name}"'))
    return "\n".join(tasks)


def test_the_recipes_move_a_queue_with_messages_and_recover_a_lost_folder(provisioned: Make) -> None:
    project = provisioned(with_queues(orders="orders returns", sales="invoices"))
    project.succeed("init", "--all", "--yes")
    connection = project.sandbox.env["ASB_CONNECTION_STRING"]
    with ServiceBusClient.from_connection_string(connection) as client, client.get_queue_sender("returns") as sender:
        sender.send_messages([ServiceBusMessage(str(number)) for number in range(MESSAGES)])
    project.write(with_queues(orders="orders", sales="returns invoices"))

    plan, move, init = recipe("Move an entity to another task")
    assert f"deleted by orders, created by sales. To move it instead: dstream {shlex.join(move)}\n" in project.succeed(
        *plan
    )
    project.succeed(*move, "--yes")
    project.succeed(*init, "--yes")
    project.succeed("plan", "--all", "--detailed-exitcode")

    shutil.rmtree(project.dstream.cwd / ".dstream")
    plan, init = recipe("A lost `.dstream` folder")
    assert "already exists; import with --import" in project.succeed(*plan)
    assert project.summary(*init, "--yes") == {"import": 1}
    assert project.summary("init", "sales", "--import", "--yes") == {"import": 2}
    assert project.sandbox.active_messages("returns") == MESSAGES


def test_a_renamed_task_keeps_its_queue_and_a_removed_one_is_destroyed(provisioned: Make) -> None:
    case = Case("arm", "queue", "records")
    project = provisioned(case.hcl())
    project.succeed("init", "orders", "--yes")
    (queue,) = json.loads(project.succeed("state", "infra", "list", "orders", "--json"))["resources"]
    made = creations(project.sandbox, case)

    # A renamed task.
    log = project.dstream.cwd / "audit.jsonl"
    project.dstream.env = {**project.dstream.env, "DSTREAM_AUDIT_FILE": str(log)}
    renamed = case.hcl().replace('task "orders"', 'task "sales"')
    project.write(renamed)
    assert "dstream state infra mv NAME NEW_TASK" in project.succeed("list")
    refused = project.dstream("state", "infra", "mv", "orders", "sales")
    assert refused.returncode == 3
    assert "Confirm with --yes" in refused.stderr
    project.succeed("state", "infra", "mv", "orders", "sales", "--yes")
    assert project.summary("plan", "sales") == {"same": 1}
    assert "orders" not in project.succeed("list")

    # A queue removed from the record and imported by its id.
    assert json.loads(project.succeed("state", "infra", "rm", "sales", case.name, "--yes", "--json"))["removed"] == [
        case.name
    ]
    assert project.summary("plan", "sales") == {"create": 1}
    project.succeed("state", "infra", "import", "sales", queue["type"], case.name, queue["id"])
    assert project.summary("plan", "sales") == {"same": 1}
    wrong = project.dstream("state", "infra", "import", "sales", queue["type"], "other", queue["id"] + "-other")
    assert wrong.returncode == 1
    assert "does not exist" in wrong.stderr
    audited = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(each["command"], each.get("result")) for each in audited] == [
        (command, ended)
        for command, result in (
            ("state infra mv", "succeeded"),
            ("state infra rm", "succeeded"),
            ("state infra import", "succeeded"),
            ("state infra import", "failed"),
        )
        for ended in (None, result)
    ]
    assert [each["name"] for each in audited[0]["details"]["resources"]] == [queue["name"]]

    # A removed task: the file has another one, with the same namespace.
    project.write(Case("arm", "queue", "records-other").hcl().replace('task "orders"', 'task "returns"'))
    refused = project.dstream("destroy", "returns", "--orphan", "returns", "--yes")
    assert (refused.returncode, "lifecycle.not_orphan" in refused.stderr) == (3, True)
    assert project.summary("plan", "returns", "--destroy", "--orphan", "sales") == {"delete": 1}
    assert creations(project.sandbox, case) == made
    assert project.summary("destroy", "returns", "--orphan", "sales", "--yes") == {"delete": 1}
    with project.administration() as administration:
        assert max_delivery_count(administration, case) is None
    assert project.records == []
