"""Failing steps, concurrent commands and missing namespaces."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import psutil
import pytest

from tests.e2e.infrastructure.cases import Case, Make, clear_faults, faults_left, task
from tests.running import wait_until

_FIVE = """\
      resource_group = env("ASB_RESOURCE_GROUP")
      namespace      = env("ASB_NAMESPACE")
      queue          = "{{TableName}}"
      entities = {{
        "{0}-1" = {{}}
        "{0}-2" = {{}}
        "{0}-3" = {{}}
        "{0}-4" = {{}}
        "{0}-5" = {{}}
      }}
"""


@pytest.mark.soak  # integration/infra proves the same without Azure
def test_init_resumes_after_partial_failure(provisioned: Make) -> None:
    project = provisioned(task(_FIVE.format("quota")))
    words = "The namespace has reached its maximum number of queues."
    quota = {"code": "QuotaExceeded", "description": words, "after": 2, "times": 1}  # the engine chooses the order
    project.sandbox.fault(kind="azure", operation="create", entity="quota-*", **quota)

    failed = project.dstream("init", "orders", "--yes", "--json", "--parallel", "1")

    assert failed.returncode == 1
    resources = json.loads(failed.stdout)["tasks"][0]["resources"]
    phases = {each["name"]: each["phase"] for each in resources}
    assert list(phases.values()).count("failed") == 1
    made = {name for name, phase in phases.items() if phase == "done"}
    assert made
    assert words in failed.stderr
    with project.administration() as administration:
        assert made == {each.name for each in administration.list_queues() if each.name.startswith("quota-")}
    clear_faults(project.sandbox)

    assert project.summary("init", "orders", "--yes") == {"same": len(made), "create": 5 - len(made)}


@pytest.mark.soak  # integration/infra proves the same without Azure
def test_a_second_init_names_the_lock_holder_or_waits(provisioned: Make) -> None:
    case = Case("arm", "queue", "locked")
    project = provisioned(case.hcl())
    project.sandbox.fault(kind="azure", operation="create", entity=case.name, seconds=5, times=1)
    with project.dstream.running("init", "orders", "--yes") as winner, contextlib.ExitStack() as stack:
        wait_until(lambda: not faults_left(project.sandbox), "the first init to start")
        with suspended(winner.process.pid):
            loser = project.dstream("init", "orders", "--yes")
            assert loser.returncode == 4
            assert "pid" in loser.stderr
            assert "--lock-timeout" in loser.stderr

            patient = stack.enter_context(project.dstream.running("init", "orders", "--yes", "--lock-timeout", "1m"))
            patient.says("waiting for")
        assert winner.ended() == 0
        assert patient.ended() == 0, patient.stderr
    assert project.summary("init", "orders", "--yes") == {"same": 1}


@contextlib.contextmanager
def suspended(pid: int) -> Iterator[None]:
    """Suspend the process and its descendants."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    try:
        for process in family:
            process.suspend()
        yield
    finally:
        for process in reversed(family):
            process.resume()


def test_a_missing_namespace_is_named(provisioned: Make) -> None:
    case = Case("arm", "queue", "nowhere")
    project = provisioned(case.hcl().replace('env("ASB_NAMESPACE")', '"sb-nowhere"'))

    failed = project.dstream("plan", "orders")

    assert failed.returncode != 0
    assert "sb-nowhere" in failed.stderr
    assert "Traceback" not in failed.stderr
