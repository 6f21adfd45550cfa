"""After `init` is interrupted at any resource, the next `init` converges on its own."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable

import psutil
import pytest

from tests.e2e.infrastructure.cases import Case, Make, Provisioned, creations, faults_left
from tests.running import RunningCommand, wait_until

ENTITIES = (
    "{}",
    "{}/subscriptions/everything",
    "{}/subscriptions/eu",
    "{}/subscriptions/orders",
    "{}/subscriptions/eu/rules/*",
    "{}/subscriptions/orders/rules/by-subject",
)
"""Everything that `init` creates for a topic, as named in the sandbox's faults; `make soak` interrupts each, before and
after."""


def kill_all(command: RunningCommand) -> None:
    """Kill dstream, the provider and the engine, as in a power failure."""
    family = [psutil.Process(command.process.pid), *psutil.Process(command.process.pid).children(recursive=True)]
    for act in (psutil.Process.suspend, psutil.Process.kill):
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                act(process)
    psutil.wait_procs(family[1:], timeout=30)


def kill_provider(command: RunningCommand) -> None:
    """Kill the provider, as the kernel does when memory is short."""
    family = psutil.Process(command.process.pid).children(recursive=True)
    (provider,) = (each for each in family if each.ppid() == command.process.pid)
    provider.kill()
    assert command.ended() == 1
    psutil.wait_procs(family, timeout=30)


def interrupted(
    project: Provisioned,
    case: Case,
    entity: str,
    when: str,
    number: signal.Signals,
    kill: Callable[[RunningCommand], None] = kill_all,
) -> None:
    """Start `init`, and interrupt it while the sandbox's Azure is slowly creating this entity."""
    seconds = 60 if number is signal.SIGKILL else 1
    project.sandbox.fault(
        kind="azure", operation="create", entity=entity.format(case.name), when=when, seconds=seconds, times=1
    )
    with project.dstream.running("init", "orders", "--yes") as init:
        wait_until(lambda: not faults_left(project.sandbox), f"the creation of {entity} to start", poll_s=0.1)
        if number is signal.SIGKILL:
            kill(init)
            return
        init.process.send_signal(number)
        assert init.ended() == 128 + number
        assert f"possibly incomplete: {case.name}" in init.stderr
        assert "dstream init" in init.stderr


def check_convergence(project: Provisioned, case: Case) -> None:
    project.succeed("init", "orders", "--yes")
    assert set(creations(project.sandbox, case).values()) == {1}, "something was created twice"
    assert set(project.summary("status", "orders", "--detailed-exitcode")) == {"same"}
    with project.administration() as administration:
        names = {each.name for each in administration.list_subscriptions(case.name)}
    assert names == {"everything", "eu", "orders"}
    project.succeed("destroy", "orders", "--yes")
    assert project.records == []
    with project.administration() as administration:
        assert case.name not in {each.name for each in administration.list_topics()}, "something was orphaned"


def test_init_resumes_after_a_kill_and_after_ctrl_c(provisioned: Make) -> None:
    """The first resource is created but not recorded when it is killed, so no recorded id names the subscription."""
    case = Case("arm", "topic", "resumed")
    project = provisioned(case.hcl())
    project.dstream.env = {**project.dstream.env, "ARM_SUBSCRIPTION_ID": ""}  # as after `az login`

    interrupted(project, case, ENTITIES[0], "after", signal.SIGKILL)
    interrupted(project, case, ENTITIES[1], "after", signal.SIGKILL, kill_provider)
    interrupted(project, case, ENTITIES[3], "after", signal.SIGINT)

    check_convergence(project, case)


@pytest.mark.soak
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("entity", ENTITIES)
def test_init_resumes_from_every_resource(entity: str, when: str, number: signal.Signals, provisioned: Make) -> None:
    case = Case("arm", "topic", f"soak-{number.name.lower()}-{ENTITIES.index(entity)}-{when}")
    project = provisioned(case.hcl())

    interrupted(project, case, entity, when, number)

    check_convergence(project, case)


@pytest.mark.parametrize("command", ["plan", pytest.param("status", marks=pytest.mark.soak)])
def test_ctrl_c_ends_a_preview_whose_read_hangs(command: str, provisioned: Make) -> None:
    case = Case("arm", "queue", f"hang-{command}")
    project = provisioned(case.hcl())
    project.succeed("init", "orders", "--yes")
    project.sandbox.fault(kind="azure", operation="read", entity=case.name, when="before", seconds=10, times=1)
    with project.dstream.running(command, "orders") as running:
        wait_until(lambda: not faults_left(project.sandbox), "the read to start", poll_s=0.1)
        family = psutil.Process(running.process.pid).children(recursive=True)
        running.process.send_signal(signal.SIGINT)
        assert running.ended() == 128 + signal.SIGINT
        assert "infra.interrupted" in running.stderr, "the provider was killed before it could clean up"
    assert psutil.wait_procs(family, timeout=30)[1] == [], "the engine outlives the command until the read ends"
    project.succeed("status", "orders", "--detailed-exitcode")
