"""Renamed and removed tasks keep their infrastructure, and records are edited without touching it."""

from __future__ import annotations

import json

from tests.e2e.infrastructure.cases import Case, Make, creations, max_delivery_count


def test_a_renamed_task_keeps_its_queue_and_a_removed_one_is_destroyed(provisioned: Make) -> None:
    case = Case("arm", "queue", "records")
    project = provisioned(case.hcl())
    project.succeed("init", "orders", "--yes")
    (queue,) = json.loads(project.succeed("state", "infra", "list", "orders", "--json"))["resources"]
    made = creations(project.sandbox, case)

    # A renamed task.
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
