"""What the session relies on in the Pulumi SDK beyond its public interface."""

from __future__ import annotations

from unittest.mock import Mock

from pulumi.automation import LocalWorkspace, Stack
from pulumi.automation._stack import StackInitMode

from dstream.infra.engine.session import QuietStack


def test_the_quiet_stack_sets_every_attribute_that_the_sdks_stack_sets() -> None:
    workspace = Mock(spec=LocalWorkspace)
    assert vars(QuietStack("dev", workspace)) == vars(Stack("dev", workspace, StackInitMode.SELECT))


def test_the_quiet_stack_starts_no_engine_for_outputs_and_history() -> None:
    workspace = Mock(spec=LocalWorkspace)
    stack = QuietStack("dev", workspace)
    assert stack.outputs() == {}
    stack.info()
    assert workspace.mock_calls == []
