"""The parts of the Pulumi SDK beyond its public interface that the session relies on."""

from __future__ import annotations

from unittest.mock import Mock

from pulumi.automation import LocalWorkspace, Stack
from pulumi.automation._stack import StackInitMode

from dstream.infra.engine.session import QuietStack


def test_the_quiet_stack_sets_every_attribute_of_the_sdks_stack() -> None:
    workspace = Mock(spec=LocalWorkspace)
    assert vars(QuietStack("dev", workspace)) == vars(Stack("dev", workspace, StackInitMode.SELECT))


def test_the_quiet_stack_does_not_start_the_engine_for_outputs_and_history() -> None:
    workspace = Mock(spec=LocalWorkspace)
    stack = QuietStack("dev", workspace)
    assert stack.outputs() == {}
    stack.info()
    assert workspace.mock_calls == []
