"""What init asks of the engine, and how long it waits for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from pulumi.automation import CommandResult
from pulumi.automation.errors import ConcurrentUpdateError

from dstream.infra.commands import Commands
from dstream.infra.definition import Definition
from dstream.infra.engine.environment import StackLocation
from dstream.infra.engine.record import StackRecord
from dstream.infra.plan.step import Step
from dstream.protocol.lifecycle import LifecycleOptions

URN = "urn:pulumi:dev::orders::cloud:index:Queue::q1"
RECORD = StackRecord({"deployment": {"resources": [{"urn": URN, "type": "cloud:index:Queue", "id": "q1"}]}})


class Reached(Exception):
    pass


def commands(session: Mock, wait: Callable[[float], object] = pytest.fail) -> Commands:
    context = Mock()
    context.options = LifecycleOptions(lock_timeout_s=600)
    context.stop.wait = wait
    return Commands(session, Definition(program=lambda: None, spec={}), context)


@pytest.mark.parametrize(("verdict", "reads"), [("same", False), ("same", True), ("update", True)])
def test_an_update_reads_again_only_what_the_preview_found_to_have_drifted(
    verdict: Any, reads: bool, tmp_path: Path
) -> None:
    session = Mock(place=StackLocation("orders", "dev", tmp_path, tmp_path.as_uri()))
    session.record.return_value = RECORD
    session.preview.return_value = Mock(
        steps=[Step(URN, "update")], verdicts=[Step(URN, verdict)], outputs={}, is_record_outdated=reads
    )
    session.up.return_value = Mock(steps=[Step(URN, "update")], outputs={})

    commands(session).init()

    assert session.preview.call_args.kwargs["refresh"] is True
    assert session.up.call_args.kwargs["refresh"] is reads


def test_a_remote_lock_is_polled_less_and_less_often() -> None:
    session = Mock(place=StackLocation("orders", "dev", Path("work"), "azblob://state"))
    locked = ConcurrentUpdateError(CommandResult("", "the stack is currently locked", 1))
    session.record.side_effect = [*[locked] * 10, Reached()]
    waits: list[float] = []

    with pytest.raises(Reached):
        commands(session, waits.append).init()

    assert waits[0] < 1
    assert waits[:8] == sorted(waits[:8])
    assert 30 <= waits[-1] < 31
