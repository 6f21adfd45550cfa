"""The parts of the Pulumi SDK beyond its public interface that the session relies on."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

import pytest
from pulumi.automation import LocalWorkspace, Stack
from pulumi.automation._stack import StackInitMode
from pulumi.automation.errors import ConcurrentUpdateError

from dstream.errors import SystemFault
from dstream.infra.engine.environment import StackLocation
from dstream.infra.engine.quiet_stack import QuietStack
from dstream.infra.engine.record import StackRecord
from dstream.infra.engine.session import Session


def test_the_quiet_stack_sets_every_attribute_of_the_sdks_stack() -> None:
    workspace = Mock(spec=LocalWorkspace)
    ours = {name: value for name, value in vars(QuietStack("dev", workspace)).items() if name != "_excluded"}
    assert ours == vars(Stack("dev", workspace, StackInitMode.SELECT))


def test_the_quiet_stack_does_not_start_the_engine_for_outputs_and_history() -> None:
    workspace = Mock(spec=LocalWorkspace)
    stack = QuietStack("dev", workspace)
    assert stack.outputs() == {}
    stack.info()
    assert workspace.mock_calls == []


QUEUE = {"urn": "urn:pulumi:dev::t::cloud:index:Queue::q", "type": "cloud:index:Queue", "id": "/q"}
REFUSED = SystemFault("infra.failed", "'dev' still has resources; removal rejected.")


@pytest.mark.parametrize(
    ("record", "runs", "failure"),
    [
        (None, 0, None),
        (StackRecord({"deployment": {"resources": [QUEUE]}}), 0, None),
        (StackRecord({"deployment": {}}), 1, None),
        (StackRecord({"deployment": {}}), 1, REFUSED),  # another command has just recorded a resource
    ],
)
def test_a_record_is_removed_only_if_it_is_empty_and_never_by_force(
    record: StackRecord | None, runs: int, failure: SystemFault | None
) -> None:
    session: Any = Session.__new__(Session)
    with (
        patch.object(Session, "record", return_value=record),
        patch.object(Session, "run", side_effect=failure) as run,
    ):
        session.remove_if_empty()
    assert [each.args for each in run.call_args_list] == [(["stack", "rm", "--yes"],)] * runs


@pytest.mark.parametrize(
    ("stack", "listed", "is_locked"),
    [
        ("dev", [{"name": "dev", "updateInProgress": True}], True),
        ("acme/dev", [{"name": "acme/dev", "updateInProgress": True}], True),
        ("acme/dev", [{"name": "dev", "updateInProgress": True}], True),
        ("dev", [{"name": "dev", "updateInProgress": False}, {"name": "test", "updateInProgress": True}], False),
        ("dev", [{"name": "acme/dev", "updateInProgress": True}], False),
    ],
)
def test_pulumi_cloud_lists_the_stacks_that_are_being_updated(
    stack: str, listed: list[dict[str, Any]], is_locked: bool, tmp_path: Path
) -> None:
    session: Any = Session.__new__(Session)
    session.place = StackLocation("orders", stack, tmp_path, "https://api.pulumi.com")
    refused = pytest.raises(ConcurrentUpdateError) if is_locked else contextlib.nullcontext()
    with patch.object(Session, "run", return_value=json.dumps(listed)) as run, refused:
        session.look_for_lock()
    assert ("--organization" in run.call_args.args[0]) is ("/" in stack)
