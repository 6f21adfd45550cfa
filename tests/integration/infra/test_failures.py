"""When something fails: what was done is told and recorded, the cause is one line, and the same command goes on."""

from __future__ import annotations

from tests.integration.infra.driving import Stage

DENIED = """Status=403 Code="AuthorizationFailed" Message="The client 'x'
does not have authorization to perform action"."""


def test_what_was_made_before_a_failure_is_kept_and_the_next_init_goes_on(stage: Stage) -> None:
    stage.faults({"op": "create", "name": "q2", "do": "error", "message": 'Code="QuotaExceeded" no more\n  queues'})
    failed = stage("init")
    assert (failed.error["code"], failed.error["kind"]) == ("infra.failed", "system")
    assert failed.error["message"] == 'q2: Code="QuotaExceeded" no more queues'
    assert {each["name"]: each["phase"] for each in failed.result["resources"]} == {"q1": "done", "q2": "failed"}
    assert failed.error["config_path"] == "queues.q2"
    assert failed.resource("q2")["note"] == 'Code="QuotaExceeded" no more queues'
    assert failed.stderr == ""
    stage.faults({"op": "create", "name": "q2", "do": "error", "message": DENIED})
    error = stage("init").error
    assert (error["code"], error["kind"]) == ("infra.not_authorised", "auth")
    assert error["message"].startswith("q2: Status=403")
    stage.faults()
    assert stage("init").ops == {"q1": "same", "q2": "create"}


def test_what_can_not_be_deleted_stays_in_the_record(stage: Stage) -> None:
    stage("init")
    stage.faults({"op": "delete", "name": "q1", "do": "error", "message": "it is in use"})
    failed = stage("destroy")
    assert failed.error["message"] == "q1: it is in use"
    assert stage.recorded == ["q1"]
    stage.faults()
    assert stage("destroy").ops == {"q1": "delete"}
    assert not stage.state.exists()


def test_a_program_that_fails_is_told_without_a_trace(stage: Stage) -> None:
    stage.more["fail"] = "no such tier"
    answer = stage("init")
    assert answer.error["code"] == "infra.program"
    assert answer.error["message"] == "the program failed: ValueError: no such tier"
    assert answer.stderr == ""
    assert not stage.state.exists(), "nothing was made: nothing is left behind"


def test_without_an_engine_a_person_learns_where_to_put_one(stage: Stage) -> None:
    stage.env = {"HOME": str(stage.folder), "PATH": "/nowhere", "DSTREAM_PULUMI": ""}
    error = stage("plan").error
    assert (error["code"], error["kind"]) == ("infra.no_engine", "config")
    assert f"{stage.folder}/.dstream/pulumi" in error["message"]
