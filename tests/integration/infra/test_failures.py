"""After a failure, completed work is reported and recorded, the cause is one line, and the same command resumes."""

from __future__ import annotations

import pytest

from tests.integration.infra.driving import Stage

DENIED = """Status=403 Code="AuthorizationFailed" Message="The client 'x'
does not have authorization to perform action"."""


def test_init_resumes_after_partial_failure(stage: Stage) -> None:
    stage.faults({"op": "create", "name": "q2", "do": "error", "message": 'Code="QuotaExceeded" no more\n  queues'})
    failed = stage("init")
    assert (failed.error["code"], failed.error["kind"]) == ("infra.failed", "system")
    assert failed.error["message"] == 'q2: Code="QuotaExceeded" no more queues'
    assert {each["name"]: each["phase"] for each in failed.result["resources"]} == {"q1": "done", "q2": "failed"}
    assert failed.error["config_path"] == "queues.q2"
    assert "Completed steps are recorded" in failed.error["hint"]
    assert failed.resource("q2")["note"] == 'Code="QuotaExceeded" no more queues'
    assert failed.stderr == ""
    stage.faults({"op": "create", "name": "q2", "do": "error", "message": DENIED})
    error = stage("init").error
    assert (error["code"], error["kind"]) == ("infra.not_authorised", "auth")
    assert error["message"].startswith("q2: Status=403")
    stage.faults()
    assert stage("init").ops == {"q1": "same", "q2": "create"}


@pytest.mark.usefixtures("initialized")
def test_a_resource_that_cannot_be_read_yet_keeps_its_record(stage: Stage) -> None:
    stage.set_real("q2", size=9)
    stage.faults({"op": "read", "name": "q1", "do": "error", "message": "q1 is not readable yet"})

    status = stage("status")
    assert status.ops == {"q2": "update"}  # the others are compared
    assert status.diagnostics == ["q1 cannot be read: q1 is not readable yet; trusting its record"]

    stage.queues["q1"]["size"] = 4
    done = stage("init")
    assert done.ops == {"q1": "update", "q2": "same"}
    assert "trusting the record instead" in done.diagnostics[0]
    assert stage.real["q1"]["size"] == 4
    assert stage("status", target=["q1"]).error["code"] == "infra.unreadable"

    stage.faults({"op": "read", "name": "q1", "do": "error", "message": "no network"})
    assert stage("status", refresh=False).result["message"] == "2 recorded, not compared with the actual resources"
    assert stage("destroy").error["message"].endswith("no network")
    assert stage("destroy", refresh=False, allow_data_loss=True).ops == {"q1": "delete", "q2": "delete"}


@pytest.mark.usefixtures("initialized")
def test_a_resource_that_cannot_be_deleted_stays_recorded(stage: Stage) -> None:
    stage.faults({"op": "delete", "name": "q1", "do": "error", "message": "it is in use"})
    failed = stage("destroy")
    assert failed.error["message"] == "q1: it is in use"
    assert stage.recorded == ["q1"]
    stage.faults()
    assert stage("destroy").ops == {"q1": "delete"}
    assert not stage.state.exists()


def test_a_failing_program_is_reported_without_a_traceback(stage: Stage) -> None:
    stage.more["fail"] = "no such tier"
    answer = stage("init")
    assert answer.error["code"] == "infra.program"
    assert answer.error["message"] == "the program failed: ValueError: no such tier"
    assert answer.stderr == ""
    assert not stage.state.exists(), "nothing was created, but a record was left behind"


def test_a_run_error_is_reported_without_its_type(stage: Stage) -> None:
    stage.more["reject"] = "no such namespace"
    assert stage("plan").error["message"] == "the program failed: no such namespace"


def test_a_missing_engine_is_reported_with_its_expected_location(stage: Stage) -> None:
    stage.env = {"HOME": str(stage.folder), "PATH": "/nowhere", "DSTREAM_PULUMI": ""}
    error = stage("plan").error
    assert (error["code"], error["kind"]) == ("infra.no_engine", "config")
    assert f"{stage.folder}/.dstream/pulumi" in error["message"]


def test_a_target_without_its_dependency_names_the_missing_target(stage: Stage) -> None:
    error = stage("plan", target=["q2"]).error
    assert error["code"] == "infra.targets_missing"
    assert error["message"] == "q2 depends on q1, which does not exist yet"
    assert error["hint"] == "Nothing was changed. Add --target q1, or omit --target."


def test_the_engine_is_not_reached_through_a_proxy(stage: Stage) -> None:
    nowhere = "http://127.0.0.1:9"
    stage.env = {"https_proxy": nowhere, "http_proxy": nowhere, "grpc_proxy": nowhere, "no_proxy": "example.com"}
    assert stage("plan").ops == {"q1": "create", "q2": "create"}
