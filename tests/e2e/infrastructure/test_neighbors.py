"""Two tasks in one namespace: commands on one do not disturb the other, even if both run at the same time."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

import pytest
from azure.core.exceptions import ResourceNotFoundError

from tests.e2e.infrastructure.cases import ARM, ENTITIES, Make, Provisioned, task
from tests.running import RunningCommand, wait_until

PLACES = {"arm": ARM, "entities": ENTITIES}
CONNECTION = '      connection_string = env("ASB_CONNECTION_STRING")\n'


def hcl(mode: str, count: int) -> str:
    """Two tasks, each with a queue of its own."""
    place = PLACES[mode] + (CONNECTION if mode == "arm" else "")
    tasks = []
    for name in ("left", "right"):
        config = (
            f'{place}      queue = "{mode}-{name}"\n      entity {{\n        max_delivery_count = {count}\n      }}\n'
        )
        tasks.append(task(config, count=10_000_000).replace('task "orders"', f'task "{name}"'))
    return "\n".join(tasks)


@contextlib.contextmanager
def together(project: Provisioned, *commands: str) -> Iterator[list[RunningCommand]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(project.dstream.running(*command.split())) for command in commands]


def succeed(commands: list[RunningCommand]) -> None:
    for each in commands:
        assert each.ended(timeout_s=120) == 0, each.stderr


@pytest.mark.soak
@pytest.mark.parametrize("mode", ["arm", "entities"])
def test_tasks_of_one_namespace_are_changed_at_the_same_time_while_both_stream(mode: str, provisioned: Make) -> None:
    project = provisioned(hcl(mode, 10))
    with together(project, "init left --yes", "init right --yes") as inits:
        succeed(inits)
    with together(project, "run left", "run right") as runs:
        for each in runs:
            each.says("run.started")
        project.write(hcl(mode, 5))
        with together(project, "init left --yes", "init right --yes") as inits:
            succeed(inits)
        refused = project.dstream("destroy", "right", "--yes", "--allow-data-loss")
        assert refused.returncode == 4, refused.stderr
        assert "right is locked by" in refused.stderr
        left, right = (each.process for each in runs)
        right.send_signal(signal.SIGTERM)
        right.wait()
        project.succeed("destroy", "right", "--yes", "--allow-data-loss")
        stored = project.sandbox.active_messages(f"{mode}-left")
        wait_until(lambda: project.sandbox.active_messages(f"{mode}-left") > stored, "left to go on")
        left.send_signal(signal.SIGTERM)
        assert left.wait() == 0, runs[0].stderr
        assert "run.restarting" not in runs[0].stderr
    values = [each.event["data"]["value"] for each in project.sandbox.receive(f"{mode}-left", 1)]
    assert values == list(range(1, len(values) + 1))
    with project.administration() as administration:
        assert administration.get_queue(f"{mode}-left").max_delivery_count == 5
        with contextlib.suppress(ResourceNotFoundError):
            administration.get_queue(f"{mode}-right")
            pytest.fail("the queue still exists")
    project.succeed("status", "left", "--detailed-exitcode")
    assert [each.parent.name for each in project.records] == ["left"]
