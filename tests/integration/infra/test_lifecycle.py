"""plan, init, status and destroy of a provider that derives from PulumiInfrastructure, on the real engine."""

from __future__ import annotations

import json
import stat
from typing import Any

import pytest

from tests.integration.infra.driving import Stage


def test_planning_a_new_stack_writes_no_files(stage: Stage) -> None:
    plan = stage("plan")
    assert plan.ops == {"q1": "create", "q2": "create"}
    assert plan.diff("q1") == [("name", None, "q1"), ("size", None, 1), ("tags.team", None, "a")]
    assert plan.result["message"] == "2 queues"
    assert plan.stderr == ""
    assert [each for each in stage.infra.rglob("*") if each.is_file()] == []
    assert stage.world.calls == []


def test_init_is_exact_and_idempotent_and_destroy_leaves_nothing(stage: Stage) -> None:
    """`init` applies exactly the plan, a second one does nothing, and `destroy` leaves nothing, not even the record."""
    assert stage("status").result["message"].startswith("no infrastructure recorded; run `dstream init`")
    plan = stage("plan")
    made = stage("init", expect=plan.document, exact=True)
    assert made.ops == {"q1": "create", "q2": "create"}
    assert [phase for name, _, phase in made.phases if name == "q2"] == ["started", "done"]
    assert made.outputs == {"queues": ["q1", "q2"], "connection": "***"}
    assert made.stderr == ""
    assert "hush-hush" not in json.dumps(made.lines) + stage.state.read_text()

    again = stage("init")
    assert again.ops == {"q1": "same", "q2": "same"}
    assert again.result["message"] == "nothing to do"
    assert again.outputs == made.outputs
    assert stage.world.calls == ["create q1", "create q2"]

    gone = stage("destroy")
    assert gone.ops == {"q2": "delete", "q1": "delete"}
    assert stage.real == {}
    assert not stage.state.exists()
    assert "nothing to do" in stage("destroy").result["message"]


@pytest.mark.usefixtures("initialized")
def test_drift_is_reported_per_property_and_fixed_by_init(stage: Stage) -> None:
    stage.set_real("q1", size=9, messages=12, tags={"team": "b", "cost": "1"})
    stage.set_real("q2")
    drift = stage("status")
    assert drift.ops == {"q1": "update", "q2": "delete"}
    assert drift.diff("q1") == [("size", 1, 9), ("tags.cost", None, "1"), ("tags.team", "a", "b")]
    assert drift.resource("q2")["note"] == "deleted outside DStream"
    figures = drift.result["metadata"]["figures"]
    assert [(each["name"], each["values"]) for each in figures] == [("q1", {"active": 12})]

    plan = stage("plan")
    assert plan.ops == {"q1": "update", "q2": "create"}
    assert plan.diff("q1") == [("size", 9, 1), ("tags.cost", "1", None), ("tags.team", "b", "a")]
    assert stage("plan", refresh=False).ops == {"q1": "same", "q2": "same"}
    assert stage("init", expect=plan.document, exact=True).ops == {"q1": "update", "q2": "create"}
    assert (stage.real["q1"]["size"], stage.real["q1"]["tags"]) == (1, {"team": "a"})
    assert stage("status").ops == {"q1": "same", "q2": "same"}


@pytest.mark.usefixtures("initialized")
def test_messages_in_a_queue_are_not_drift(stage: Stage) -> None:
    stage.set_real("q1", messages=500)
    assert stage("plan").ops == {"q1": "same", "q2": "same"}


@pytest.mark.usefixtures("initialized")
def test_status_records_the_actual_state_on_request(stage: Stage) -> None:
    stage.set_real("q1", size=9)
    stage.set_real("q2")
    assert stage("status", refresh_only=True).ops == {"q1": "refresh", "q2": "refresh"}
    assert stage.recorded == ["q1"]
    assert stage("status").ops == {"q1": "same"}


@pytest.mark.usefixtures("initialized")
def test_drift_that_matches_the_config_is_only_recorded(stage: Stage) -> None:
    stage.set_real("q1", size=5)
    stage.queues["q1"]["size"] = 5
    stage.more["exports"] = {"tier": "standard"}
    assert stage("init").outputs["tier"] == "standard"
    assert stage.world.calls == ["create q1", "create q2"]
    assert stage("status").ops == {"q1": "same", "q2": "same"}


def test_an_output_that_alone_changes_is_planned_and_recorded(stage: Stage) -> None:
    stage.more["exports"] = {"fingerprint": "old", "gone": "x"}
    stage("init")
    stage.more["exports"] = {"fingerprint": "new"}

    changed = {"q1": "same", "q2": "same", "fingerprint": "update", "gone": "delete"}
    assert stage("plan").ops == changed
    made = stage("init")

    assert made.ops == changed
    assert made.outputs["fingerprint"] == "new"
    assert stage("plan").ops == {"q1": "same", "q2": "same"}


def test_only_targeted_resources_are_changed(stage: Stage) -> None:
    del stage.queues["q2"]["_after"]
    assert stage("init", target=["q1"]).ops["q1"] == "create"
    assert list(stage.real) == ["q1"]
    stage("init")
    error = stage("plan", target=["q7"]).error
    assert (error["code"], error["hint"]) == ("infra.unknown_target", "Known resources: q1, q2.")
    assert stage("destroy", target=["q2"], parallel=1).ops["q2"] == "delete"
    assert (list(stage.real), stage.recorded) == (["q1"], ["q1"])
    assert stage("destroy", target=["q1"]).ops["q1"] == "delete"
    assert stage("destroy").result["status"] == "Success"
    assert not stage.state.exists()


def test_secret_values_are_not_written_anywhere(stage: Stage) -> None:
    stage.queues["q1"]["_secret"] = "first-secret"
    answers = [stage("plan"), stage("init")]
    stage.queues["q1"]["_secret"] = "other-secret"
    answers += [stage("plan"), stage("status")]
    assert answers[2].diff("q1") == [("key", "***", "***")]
    written = "".join(json.dumps(each.lines) + each.stderr for each in answers) + stage.state.read_text()
    assert "first-secret" not in written
    assert "other-secret" not in written


def test_a_lost_work_dir_is_re_created_from_the_record(stage: Stage) -> None:
    stage.secrets_provider = None
    stage("init")
    passphrase = stage.infra / ".pulumi" / "dstream-passphrase"
    assert stat.S_IMODE(passphrase.stat().st_mode) == 0o600
    for file in (stage.infra / "orders" / "dev").iterdir():
        file.unlink()
    stage.queues["q1"]["size"] = 3
    assert stage("init").ops == {"q1": "update", "q2": "same"}
    passphrase.unlink()
    assert stage("plan").error["code"] == "infra.passphrase_lost"


def test_a_chosen_folder_without_records_and_a_new_passphrase_are_warned_about(stage: Stage) -> None:
    """A mistyped folder would otherwise plan to create everything again."""
    state = stage.folder / "mistyped"
    stage.secrets_provider = None
    stage.backend_url = state.as_uri()

    (told,) = stage("plan").diagnostics
    assert told == f"{state} contains no records yet; if it should, check backend_url or PULUMI_BACKEND_URL"
    assert not state.exists()
    created = stage("init").diagnostics[-1]
    assert created.startswith(f"created {state}/.pulumi/dstream-passphrase, the passphrase of the records")
    assert stage("plan", refresh=False).diagnostics == []


def test_an_ignored_change_is_no_drift_and_survives_another_update(stage: Stage) -> None:
    stage.queues["q1"]["_ignore"] = ["size"]
    stage("init")
    stage.set_real("q1", size=9)
    assert stage("status").ops == {"q1": "same", "q2": "same"}
    assert stage("init").ops == {"q1": "same", "q2": "same"}
    stage.queues["q1"]["tags"] = {"team": "b"}
    plan = stage("plan")
    assert plan.diff("q1") == [("tags.team", "a", "b")]
    assert stage("init", expect=plan.document, exact=True).ops == {"q1": "update", "q2": "same"}
    assert (stage.real["q1"]["size"], stage.real["q1"]["tags"]) == (9, {"team": "b"})


def test_excluded_resources_stay_and_replaced_ones_are_made_again(stage: Stage) -> None:
    del stage.queues["q2"]["_after"]
    stage("init")
    stage.queues = {"q1": {"size": 5}, "q2": {"size": 6}, "q3": {"size": 7}}
    assert stage("plan", exclude=["q9"]).error["code"] == "infra.unknown_target"
    plan = stage("plan", exclude=["q2"], replace=["q1"])
    assert plan.ops == {"q1": "replace", "q2": "same", "q3": "create"}
    assert plan.resource("q1")["note"] == "requested with --replace"
    assert plan.diff("q1") == [("size", 1, 5), ("tags.team", "a", None)]
    stage.set_real("q1", messages=3)
    chosen: dict[str, Any] = {"exclude": ["q2"], "replace": ["q1"], "expect": plan.document, "exact": True}
    assert stage("init", **chosen).error["code"] == "plan.data_loss"
    stage.set_real("q1", messages=0)
    assert stage("init", exclude=["q2"], expect=plan.document, exact=True).error["code"] == "plan.stale"
    assert stage("init", **chosen).ops == {"q1": "replace", "q2": "same", "q3": "create"}
    assert {name: each["size"] for name, each in stage.real.items()} == {"q1": 5, "q2": 2, "q3": 7}

    # Without update plans, the checks before the update still apply.
    stage.env = {"DSTREAM_UPDATE_PLANS": "no"}
    assert stage("init").error["code"] == "infra.bad_update_plans"
    stage.env = {"DSTREAM_UPDATE_PLANS": "off"}
    assert stage("init", expect=plan.document, exact=True).error["code"] == "plan.stale"
    assert stage("init").ops == {"q1": "same", "q2": "update", "q3": "same"}

    assert stage("destroy", exclude=["q2"]).ops == {"q1": "delete", "q2": "same", "q3": "delete"}
    assert list(stage.real) == ["q2"]
    assert stage("destroy").ops == {"q2": "delete"}
    assert not stage.state.exists()


@pytest.mark.usefixtures("initialized")
def test_a_target_can_take_its_dependents_along(stage: Stage) -> None:
    missing = stage("destroy", target=["q1"]).error
    assert missing["code"] == "infra.targets_missing"
    assert "--target-dependents" in missing["hint"]
    assert stage("destroy", target=["q1"], target_dependents=True).ops == {"q1": "delete", "q2": "delete"}
    assert stage.real == {}
