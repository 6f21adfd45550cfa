"""Who holds the lock of a task whose infrastructure would be deleted, and whether to wait."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dstream.cli.lifecycle.guard import refuse_hidden_names, without_running_streams
from dstream.cli.view.answer import Answer
from dstream.config import Project
from dstream.errors import DStreamError, RefusedError
from dstream.host import LifecycleOutcome
from dstream.protocol.lifecycle import ListedResource
from dstream.state import Lease, StateLocation, open_store

PLANNED = Answer("orders", "p", outcome=LifecycleOutcome("p", [ListedResource("q", "t", "delete", "planned")]))


@pytest.mark.parametrize(
    ("name", "op", "where", "is_refused"),
    [
        ("orders", "delete", "sb-retail", False),
        ("***", "delete", "sb-retail", True),
        ("orders-***", "create", "sb-retail", True),
        ("orders", "create", "***", True),
        ("orders-***", "same", "***", False),
    ],
)
def test_a_change_of_a_resource_whose_name_is_hidden_is_refused(
    name: str, op: Any, where: str, is_refused: bool
) -> None:
    plan = Answer("orders", "p", outcome=LifecycleOutcome("p", [ListedResource(name, "t", op, "planned")], where=where))
    (answer,) = refuse_hidden_names("init", [plan])
    assert (answer.error is not None and answer.error.code == "plan.hidden_name") is is_refused


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return cast("Project", SimpleNamespace(state=StateLocation("dev", tmp_path)))


def lock(project: Project, command: str) -> Lease:
    return open_store(project.state, "orders").lease(datetime.now(UTC), command)


def error_while_held(project: Project, held_by: str) -> DStreamError:
    guarded = without_running_streams("destroy", project, [PLANNED], pytest.fail, timeout_s=0)
    with lock(project, held_by), guarded as (answer,):
        assert answer.error is not None
        return answer.error


def test_a_run_must_be_stopped_first(project: Project) -> None:
    error = error_while_held(project, "run")
    assert error.code == "lifecycle.running"
    assert ", dstream run) since " in error.message
    assert "Stop the run first" in error.hint


def test_another_init_is_not_called_a_run(project: Project) -> None:
    error = error_while_held(project, "init")
    assert (error.code, error.kind) == ("infra.locked", "locked")
    assert ", dstream init) since " in error.message
    assert "--lock-timeout" in error.hint


def test_a_lock_timeout_waits_and_names_the_holder_once(project: Project) -> None:
    said: list[Any] = []
    with ExitStack() as other:
        other.enter_context(lock(project, "init"))

        def say(text: str) -> None:
            said.append(text)
            other.close()

        with without_running_streams("destroy", project, [PLANNED], say, timeout_s=60) as (answer,):
            assert answer is PLANNED
    assert [", dstream init) since " in text for text in said] == [True]


def test_a_plan_that_was_refused_keeps_its_error_and_waits_for_no_lock(project: Project) -> None:
    refused = replace(PLANNED, error=RefusedError("plan.data_loss", "it holds messages"))
    guarded = without_running_streams("destroy", project, [refused], pytest.fail, timeout_s=60)
    with lock(project, "run"), guarded as (answer,):
        assert answer is refused
