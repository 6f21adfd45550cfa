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
from dstream.infra.engine.scratch import scratch_folder
from dstream.infra.plan.step import Step
from dstream.protocol.lifecycle import LifecycleOptions
from dstream.sdk._infrastructure import Operation

URN = "urn:pulumi:dev::orders::cloud:index:Queue::q1"
RECORD = StackRecord({"deployment": {"resources": [{"urn": URN, "type": "cloud:index:Queue", "id": "q1"}]}})


class Reached(Exception):
    pass


def session_at(place: StackLocation) -> Mock:
    session = Mock(place=place)
    session.scratch = lambda: scratch_folder(place.work_dir)
    session.engine.version = "3.259.0"
    return session


def commands(session: Mock, wait: Callable[[float], object] = pytest.fail, **options: Any) -> Commands:
    context = Mock()
    context.options = LifecycleOptions(lock_timeout_s=600, **options)
    context.stop.wait = wait
    return Commands(session, Definition(program=lambda: None, spec={}), context)


@pytest.mark.parametrize(("verdict", "reads"), [("same", False), ("same", True), ("update", True)])
def test_an_update_reads_again_only_what_the_preview_found_to_have_drifted(
    verdict: Any, reads: bool, tmp_path: Path
) -> None:
    session = session_at(StackLocation("orders", "dev", tmp_path, tmp_path.as_uri()))
    session.record.return_value = RECORD
    session.preview.return_value = Mock(
        steps=[Step(URN, "update")], verdicts=[Step(URN, verdict)], outputs={}, is_record_outdated=reads
    )
    session.up.return_value = Mock(steps=[Step(URN, "update")], outputs={})

    commands(session).init()

    assert session.preview.call_args.kwargs["refresh"] is True
    assert session.up.call_args.kwargs["refresh"] is reads


@pytest.mark.parametrize("drifted", [False, True])
def test_an_init_that_follows_its_plan_does_not_preview_again(drifted: bool, tmp_path: Path) -> None:
    session = session_at(StackLocation("orders", "dev", tmp_path, tmp_path.as_uri()))
    session.record.return_value = RECORD

    def preview(*, refresh: bool, plan_file: Path) -> Mock:
        plan_file.write_text("{}")
        return Mock(steps=[Step(URN, "update")], verdicts=[], outputs={}, is_record_outdated=drifted)

    def up(*, plan_file: Path, refresh: bool, **_: Any) -> Mock:
        assert plan_file.read_text() == "{}"
        return Mock(steps=[Step(URN, "update")], outputs={})

    session.preview.side_effect, session.up.side_effect = preview, up
    plan = commands(session, init_follows=True).plan()

    done = commands(session, expect=dict(plan.document)).init()

    assert [(each.name, each.op) for each in done.resources] == [("q1", "update")]
    session.preview.assert_called_once()
    assert session.up.call_args.kwargs["refresh"] is drifted
    assert [each.name for each in tmp_path.iterdir()] == []


@pytest.mark.parametrize("op", ["replace", "delete"])
def test_an_init_that_deletes_previews_again_for_its_guards(op: Operation, tmp_path: Path) -> None:
    session = session_at(StackLocation("orders", "dev", tmp_path, tmp_path.as_uri()))
    session.record.return_value = RECORD
    session.preview.return_value = Mock(steps=[Step(URN, op)], verdicts=[], outputs={}, is_record_outdated=False)

    session.up.return_value = Mock(steps=[Step(URN, op)], outputs={})
    document = commands(session, init_follows=True).plan().document
    commands(session, expect=dict(document), allow_data_loss=True).init()

    assert document["update_plan"] is None
    assert session.preview.call_count == 2


@pytest.mark.parametrize("recorded", [False, True])
def test_a_deletion_reads_the_resources_again_only_if_its_preview_found_drift(recorded: bool, tmp_path: Path) -> None:
    session = session_at(StackLocation("orders", "dev", tmp_path, tmp_path.as_uri()))
    session.record.return_value = RECORD
    session.preview_destroy.return_value = Mock(steps=[Step(URN, "delete")], is_record_outdated=not recorded)
    session.destroy.return_value = Mock(steps=[Step(URN, "delete")])

    commands(session).destroy()

    assert session.preview_destroy.call_args.kwargs["refresh"] is True
    assert session.destroy.call_args.kwargs["refresh"] is not recorded


@pytest.mark.parametrize("command", ["status", "destroy", "plan"])
def test_no_plugin_is_downloaded_to_find_that_nothing_is_recorded(command: str, tmp_path: Path) -> None:
    session = session_at(StackLocation("orders", "dev", tmp_path, tmp_path.as_uri()))
    session.record.return_value = None
    getattr(commands(session, destroy=command == "plan"), command)()
    session.install_plugins.assert_not_called()


def test_status_without_refresh_needs_no_plugin(tmp_path: Path) -> None:
    session = session_at(StackLocation("orders", "dev", tmp_path, tmp_path.as_uri()))
    session.record.return_value = RECORD
    assert commands(session, refresh=False).status().message == "1 recorded, not compared with the actual resource"
    session.install_plugins.assert_not_called()


def test_waiting_for_a_remote_lock_reads_no_resource() -> None:
    session = session_at(StackLocation("orders", "dev", Path("work"), "azblob://state"))
    locked = ConcurrentUpdateError(CommandResult("", "the stack is currently locked", 1))
    session.record.side_effect = [locked, Reached()]
    session.look_for_lock.side_effect = [*[locked] * 9, None]
    waits: list[float] = []

    with pytest.raises(Reached):
        commands(session, waits.append).init()

    assert session.record.call_count == 2
    assert waits[0] < 1
    assert waits[:6] == sorted(waits[:6])
    assert 10 <= waits[-1] < 11
