"""What init and destroy refuse: data loss, unplanned changes, and deleting protected resources."""

from __future__ import annotations

import pytest

from tests.integration.infra.driving import Stage


@pytest.mark.usefixtures("initialized")
def test_data_loss_is_refused_unless_allowed(stage: Stage) -> None:
    stage.set_real("q1", messages=1284)
    stage.queues["q1"]["sessions"] = True
    plan = stage("plan", refresh=False)
    assert plan.ops["q1"] == "replace"
    assert plan.resource("q1")["note"] == "holds 1,284 messages that would be lost"
    assert plan.resource("q1")["holds"] == 1284
    for command, how in (("init", "replace"), ("destroy", "delete")):
        error = stage(command, refresh=False).error
        assert (error["code"], error["kind"]) == ("plan.data_loss", "refused")
        assert error["message"] == f"q1 ({how}) holds 1,284 messages that would be lost"
    assert stage.real["q1"]["messages"] == 1284

    done = stage("init", allow_data_loss=True)
    assert [(op, phase) for name, op, phase in done.phases if name == "q1"] == [
        ("replace", "started"),
        ("replace", "done"),
    ]
    assert stage.real["q1"] == {"name": "q1", "size": 1, "tags": {"team": "a"}, "sessions": True, "messages": 0}


@pytest.mark.usefixtures("initialized")
def test_init_applies_only_what_was_planned(stage: Stage) -> None:
    stage.queues["q1"]["size"] = 3
    shown = stage("plan").document
    stage.set_real("q1", size=2)
    stage.set_real("q2", size=8)
    error = stage("init", expect=shown).error
    assert (error["code"], error["kind"]) == ("plan.stale", "refused")
    assert "q1 size: planned 1 → 3, now 2 → 3" in error["message"]
    assert "q2: update (size) was not planned" in error["message"]
    assert (stage.real["q1"]["size"], stage.real["q2"]["size"]) == (2, 8)

    stage.set_real("q1", size=3)
    stage.set_real("q2", size=2)
    assert stage("init", expect=shown).ops["q1"] == "refresh"  # fewer changes than planned: the record is updated
    error = stage("init", expect=shown, exact=True).error  # but not with a plan file
    assert "another init or destroy has changed the record" in error["message"]
    assert "q1: planned update is no longer needed" in error["message"]


@pytest.mark.usefixtures("initialized")
def test_an_init_that_follows_its_plan_reads_nothing_again_and_applies_only_that_plan(stage: Stage) -> None:
    stage.queues["q1"]["size"] = 3
    shown = stage("plan", init_follows=True).document
    assert shown["update_plan"]["refresh"] is False
    stage.faults(*({"op": "read", "name": name, "do": "error", "message": "busy"} for name in ("q1", "q2")))
    assert stage("init", expect=shown).ops == {"q1": "update", "q2": "same"}
    stage.faults()

    # With drift, the update reads again, and refuses what has changed since.
    stage.set_real("q1", size=2)
    shown = stage("plan", init_follows=True).document
    assert shown["update_plan"]["refresh"] is True
    stage.set_real("q2", size=8)
    assert stage("init", expect=shown).error["code"] == "plan.stale"
    assert stage.real["q2"]["size"] == 8

    # Another init has changed the record: preview again, and compare.
    shown = stage("plan", init_follows=True).document
    assert stage("init").ops == {"q1": "same", "q2": "update"}
    assert stage("init", expect=shown).ops == {"q1": "same", "q2": "same"}


def test_protected_resources_block_destroy_and_retained_ones_remain(stage: Stage) -> None:
    stage.queues = {"q1": {"_protect": True}, "q2": {"_retain": True}}
    stage("init")
    stage.set_real("q2", messages=5)
    error = stage("destroy").error
    assert (error["code"], error["kind"]) == ("infra.protected", "refused")
    assert "q1" in error["message"]
    stage.queues["q1"] = {}
    assert stage("init").ops == {"q1": "update", "q2": "same"}
    plan = stage("plan", destroy=True)
    assert plan.resource("q2")["note"] == "stays in place and is no longer managed"
    assert stage("destroy", expect=plan.document).ops == {"q1": "delete", "q2": "delete"}
    assert list(stage.real) == ["q2"]


def test_existing_resources_are_imported_only_on_request(stage: Stage) -> None:
    stage.queues = {"q1": {"size": 1}}
    stage.set_real("q1", size=1, messages=7)
    error = stage("init").error
    assert (error["code"], error["message"]) == (
        "infra.exists",
        "q1: cannot create already existing resource '/queues/q1'",
    )
    stage.queues["q1"]["_import"] = True
    assert stage("plan").ops == {"q1": "import"}
    assert stage("init").ops == {"q1": "import"}
    assert stage.world.calls == []
    assert stage.real["q1"]["messages"] == 7
