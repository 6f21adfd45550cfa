"""`plan --out`, `plan --show` and `init --plan` on the real command line, with the example that needs no cloud."""

from __future__ import annotations

import json
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dstream.cli.lifecycle.plan_seal import sealed
from dstream.state import FileStore, TaskLock
from tests.conformance.commands import QUEUES, Place, error_of
from tests.conformance.plan_alterations import SEAL, altered, names


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_plan_file_is_applied_once_and_holds_no_secret(place: Place) -> None:
    place.task(resources={"orders": {"connection_string": "Endpoint=sb://x;SharedAccessKey=canary-7f3a9b", "size": 1}})
    planned = place.dstream("plan", "t", "--out", "plan.json")
    assert planned.returncode == 0
    assert "Next: dstream init t --plan plan.json" in planned.stdout
    path = place.folder / "plan.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "canary" not in path.read_text()
    document = json.loads(path.read_text())
    assert (document["schema_version"], document["command"], document["stack"]) == (2, "init", "dev")
    assert [task["task"] for task in document["tasks"]] == ["t"]

    done = place.dstream("init", "--plan", "plan.json", "--yes")
    assert done.returncode == 0, done.stderr
    assert list(place.world["real"]) == ["orders"]
    again = place.dstream("init", "t", "--plan", "plan.json", "--yes")
    assert again.returncode == 5  # its changes have already been made
    assert 'orders: tasks[0].resources[0].op: planned "create", now "same"' in again.stderr


def test_a_plan_file_is_shown_without_dstream_hcl(place: Place) -> None:
    place.queues()
    planned = place.dstream("plan", "t", "--out", "plan.json")
    (place.folder / "dstream.hcl").unlink()
    shown = place.dstream("plan", "--show", "plan.json")
    assert shown.returncode == 0
    assert shown.stdout.splitlines()[:8] == planned.stdout.splitlines()[:8]
    document = json.loads(place.dstream("plan", "--show", "plan.json", "--json").stdout)
    assert document["tasks"][0]["summary"] == {"create": 2}
    markdown = place.dstream("plan", "--show", "plan.json", "--markdown", "-").stdout
    assert markdown.startswith("<!-- dstream:plan:dev -->\n")


def test_a_plan_file_is_refused_if_a_setting_has_changed(place: Place) -> None:
    place.queues()
    place.dstream("plan", "t", "--out", "plan.json")
    path = place.folder / "dstream.hcl"
    path.write_text(path.read_text().replace('"max_delivery_count": 10', '"max_delivery_count": 11'))
    done = place.dstream("init", "t", "--plan", "plan.json", "--yes")
    assert done.returncode == 5
    assert "[plan.stale]" in error_of(done)
    assert "t: resources.orders.max_delivery_count" in error_of(done)
    assert place.world["real"] == {}


def test_a_plan_file_is_refused_if_the_actual_resources_have_changed(place: Place) -> None:
    place.queues()
    place.dstream("init", "t", "--yes")
    place.set_real({**QUEUES, "orders": {"max_delivery_count": 77}})
    place.dstream("plan", "t", "--out", "plan.json")
    place.set_real({"orders": {"max_delivery_count": 78}, "returns": {"max_delivery_count": 1}})
    done = place.dstream("init", "t", "--plan", "plan.json", "--yes")
    assert done.returncode == 5
    assert "orders: tasks[0].resources[0].diff[0].old: planned 77, now 78" in error_of(done)
    assert 'returns: tasks[0].resources[1].op: planned "same", now "update"' in error_of(done)
    assert place.world["real"]["orders"] == {"max_delivery_count": 78}


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["destroy", "t"], "is a plan for `dstream init`"),
        (["init", "other"], "has no plan for other; its tasks: t"),
        (["init", "t", "--var", "stack=prod"], 'belongs to stack "dev"; the current stack is "prod"'),
    ],
)
def test_a_plan_file_for_another_command_task_or_stack_is_refused(command: list[str], says: str, place: Place) -> None:
    place.queues()
    place.task("other", resources={})
    with (place.folder / "dstream.hcl").open("a") as file:
        file.write(
            'variable "stack" {\n  default = "dev"\n}\ndstream {\n  infrastructure {\n    stack = var.stack\n  }\n}\n'
        )
    place.dstream("plan", "t", "--out", "plan.json")
    done = place.dstream(*command, "--plan", "plan.json", "--yes")
    assert done.returncode == 5
    assert says in error_of(done)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "plan.unreadable"),
        ("{", "plan.invalid"),
        ('{"schema_version":1}', "plan.invalid"),
        ('{"kind":"dstream.plan","schema_version":1,"dstream":"0.1.0"}', "plan.outdated"),
        ('{"kind":"dstream.plan","schema_version":3,"dstream":"9"}', "plan.newer"),
        ('{"kind":"dstream.plan","schema_version":2,"stack":"dev","stack":"prod"}', "plan.invalid"),
    ],
)
def test_an_invalid_plan_file_is_a_configuration_error(content: str | None, code: str, place: Place) -> None:
    place.queues()
    if content is not None:
        (place.folder / "plan.json").write_text(content)
    for command in (["init", "t", "--plan", "plan.json", "--yes"], ["plan", "--show", "plan.json"]):
        done = place.dstream(*command)
        assert done.returncode == 3
        assert f"[{code}]" in error_of(done)


def with_loss(place: Place, **more: Any) -> dict[str, Any]:
    """An existing queue with messages, and the plan that deletes it."""
    place.task(resources={"orders": {"size": 1}}, holds={"orders": 3}, **more)
    assert place.dstream("init", "t", "--yes").returncode == 0
    assert place.dstream("plan", "t", "--destroy", "--out", "plan.json").returncode == 0
    saved: dict[str, Any] = json.loads((place.folder / "plan.json").read_text())
    return saved


@pytest.mark.parametrize("flags", [(), ("--allow-data-loss",)])
def test_a_plan_that_hides_what_it_deletes_is_refused_while_the_task_is_locked(
    flags: Sequence[str], place: Place
) -> None:
    saved = with_loss(place)
    saved["tasks"][0]["resources"][0].update(op="same", holds=0)
    (place.folder / "plan.json").write_text(json.dumps(sealed(saved)))
    lock = FileStore(place.folder / ".dstream" / "state", "dev", "t").lock_path
    with TaskLock(lock, "t", datetime.now(UTC), "run"):
        refused = place.dstream("destroy", "--plan", "plan.json", "--yes", *flags)
    assert refused.returncode == 5
    assert "[plan.stale]" in error_of(refused)
    assert list(place.world["real"]) == ["orders"]


@pytest.mark.soak
def test_altering_any_field_of_a_real_plan_is_refused_or_changes_nothing(place: Place) -> None:
    saved = with_loss(place)
    world = place.world
    for path, document in altered({key: value for key, value in saved.items() if key not in SEAL}):
        place.set_real(world["real"])
        (place.folder / "plan.json").write_text(json.dumps(sealed(document)))
        done = place.dstream("destroy", "--plan", "plan.json", "--yes", "--parallel", "1")
        assert done.returncode != 0 or path == "tasks[0]", path
        assert place.world == world
        # The new plan loses messages, whatever the file says; what is refused before names the field.
        is_guarded = "[plan.data_loss]" in done.stderr
        assert is_guarded or path == "tasks[0]" or path.startswith("options.") or names(done.stderr, path), path


def provider_that_plans(place: Place, plan: str, **config: str) -> None:
    """Write task t, whose output returns the given expression as its plan."""
    (place.folder / "plain.py").write_text(
        "import msgspec\n"
        "from dstream.sdk import OutputProvider, Plan, Resource, Result, Status, StdioProviderHost\n"
        "class Config(msgspec.Struct):\n"
        "    password: str = ''\n"
        "class Plain(OutputProvider[Config]):\n"
        f"    def plan(self, context): return {plan}\n"
        "    def init(self, context): return Result([Resource('a', op='create')])\n"
        "    def status(self, context): return Status()\n"
        "    def destroy(self, context): return Result()\n"
        "StdioProviderHost(Plain).run()\n"
    )
    settings = "".join(f'      {name} = "{value}"\n' for name, value in config.items())
    (place.folder / "dstream.hcl").write_text(
        'task "t" {\n  input {\n    provider = "counter"\n  }\n'
        f'  output {{\n    provider_path = "plain.py"\n    config {{\n{settings}    }}\n  }}\n}}\n'
    )


def test_a_plan_without_a_document_is_not_saved(place: Place) -> None:
    provider_that_plans(place, "Plan([Resource('a', op='create')])")
    done = place.dstream("plan", "t", "--out", "plan.json")
    assert done.returncode == 3
    assert "[plan.no_document]" in error_of(done)
    assert not (place.folder / "plan.json").exists()
    assert place.dstream("init", "t", "--yes").returncode == 0


def test_a_plan_document_with_a_secret_is_refused(place: Place) -> None:
    plan = "Plan([Resource('a', op='create')], document={'seen': [self.config.password]})"
    provider_that_plans(place, plan, password="canary-7f3a9b")
    done = place.dstream("plan", "t", "--out", "plan.json")
    assert done.returncode == 1
    assert "[plan.secret]" in error_of(done)
    assert "canary" not in done.stdout + done.stderr
    assert not (place.folder / "plan.json").exists()
