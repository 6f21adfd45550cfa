"""A stack's record, and how it is settled after a kill."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from dstream.infra.engine.record import StackRecord

URN = "urn:pulumi:dev::t::cloud:index:Queue::"
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:1"}


def queue(name: str, **more: Any) -> dict[str, Any]:
    base = {"urn": URN + name, "type": "cloud:index:Queue", "custom": True, "id": f"/queues/{name}"}
    return {**base, "inputs": {"name": name, "key": SECRET}, "outputs": {"name": name, "messages": 4}, **more}


def exported(*resources: dict[str, Any], pending: list[tuple[str, dict[str, Any]]] | None = None) -> dict[str, Any]:
    stack = {
        "urn": "urn:pulumi:dev::t::pulumi:pulumi:Stack::t-dev",
        "type": "pulumi:pulumi:Stack",
        "outputs": {"names": ["q1"], "s": SECRET},
    }
    deployment: dict[str, Any] = {
        "secrets_providers": {"type": "passphrase", "state": {"salt": "v1:salt"}},
        "resources": [stack, *resources],
    }
    if pending:
        deployment["pending_operations"] = [{"type": kind, "resource": each} for kind, each in pending]
    return {"version": 3, "deployment": deployment}


def test_a_record_lists_resources_and_masks_secrets() -> None:
    record = StackRecord(exported(queue("q1"), queue("q2")))
    assert record.names == ["q1", "q2"]
    assert record.outputs == {"names": ["q1"], "s": "***"}
    assert record.stack_settings == {"encryptionsalt": "v1:salt"}
    assert not StackRecord({"version": 3, "deployment": None}).is_initialised


def test_a_cloud_secrets_key_is_read_from_the_record() -> None:
    made = exported()
    made["deployment"]["secrets_providers"] = {
        "type": "cloud",
        "state": {"url": "azurekeyvault://v", "encryptedkey": "k"},
    }
    assert StackRecord(made).stack_settings == {"secretsprovider": "azurekeyvault://v", "encryptedkey": "k"}


def test_the_digest_depends_only_on_inputs_and_ids() -> None:
    before = StackRecord(exported(queue("q1"), queue("q2"))).digest
    other_cipher = {**SECRET, "ciphertext": "v1:2"}
    same = [
        queue("q2", outputs={"messages": 9}),
        queue("q1", modified="today", inputs={"name": "q1", "key": other_cipher}),
    ]
    assert StackRecord(exported(*same)).digest == before
    assert StackRecord(exported(queue("q1"), queue("q2", id="/queues/x"))).digest != before
    assert StackRecord(exported(queue("q1", inputs={"name": "q1", "size": 2}), queue("q2"))).digest != before
    assert StackRecord(exported(queue("q1"))).digest != before


def test_a_pending_creation_counts_as_created_if_its_id_is_known() -> None:
    begun = {key: value for key, value in queue("q2").items() if key not in ("id", "outputs")}
    unknown = {**begun, "urn": URN + "q3"}
    record = StackRecord(
        exported(queue("q1"), pending=[("creating", begun), ("creating", unknown), ("updating", queue("q1"))])
    )
    assert next((each.kind, each.name, each.inputs["name"]) for each in record.pending) == ("creating", "q2", "q2")
    settled = record.settled({URN + "q2": "/queues/q2"})["deployment"]
    assert "pending_operations" not in settled
    assert [(each["urn"], each.get("id")) for each in settled["resources"][1:]] == [
        (URN + "q1", "/queues/q1"),
        (URN + "q2", "/queues/q2"),
    ]
    # A kill before the refresh that looks it up must not leave it recorded as if it existed.
    assert [each.name for each in StackRecord({"deployment": settled}).pending] == ["q2"]


def test_a_pending_replacement_marks_the_old_resource_for_deletion() -> None:
    begun = {key: value for key, value in queue("q1").items() if key not in ("id", "outputs")}
    record = StackRecord(exported(queue("q1", id="/queues/old"), pending=[("creating", begun)]))
    resources = record.settled({URN + "q1": "/queues/new"})["deployment"]["resources"]
    assert [(each.get("id"), bool(each.get("delete"))) for each in resources[1:]] == [
        ("/queues/new", False),
        ("/queues/old", True),
    ]
    assert len(record.settled({URN + "q1": "/queues/old"})["deployment"]["resources"]) == 2


def test_settling_does_not_modify_the_original() -> None:
    original = exported(queue("q1"), pending=[("creating", queue("q2"))])
    before = deepcopy(original)
    StackRecord(original).settled({URN + "q2": "x"})
    assert original == before


def test_a_replacement_with_the_same_id_takes_the_place_of_the_deleted_one() -> None:
    """Otherwise the engine, which sees only the mark, creates it again and fails because it exists."""
    deleted = queue("q1", pendingReplacement=True, outputs={"messages": 4})
    making = {key: value for key, value in queue("q1", inputs={"name": "new"}).items() if key not in ("id", "outputs")}
    record = StackRecord(exported(deleted, queue("q2"), pending=[("creating", making)]))

    resources = record.settled({URN + "q1": "/queues/q1"})["deployment"]["resources"]

    assert [(each["id"], each["inputs"]) for each in resources[1:]] == [
        ("/queues/q1", making["inputs"]),
        ("/queues/q2", queue("q2")["inputs"]),
    ]
    assert not any(each.get("pendingReplacement") for each in resources)


def test_a_creation_that_may_have_succeeded_is_pending_until_its_outcome_is_known() -> None:
    made = {key: value for key, value in queue("q2").items() if key != "outputs"}
    possible = StackRecord(exported(queue("q1"))).with_possible([made])

    record = StackRecord(possible)
    assert [(each.kind, each.name, each.id) for each in record.pending] == [("creating", "q2", "/queues/q2")]
    assert record.names == ["q1", "q2"]
    assert record.settled({})["deployment"]["resources"] == possible["deployment"]["resources"]
    assert StackRecord(exported(queue("q1"), queue("q2", initErrors=["of the provider"]))).pending == []


def test_resources_are_removed_with_the_references_to_them() -> None:
    inner = queue("inner", id="/queues/Q1/rules/r", deletedWith=URN + "q1")
    other = queue(
        "q2", dependencies=[URN + "q1", URN + "q3"], propertyDependencies={"forwardTo": [URN + "q1"], "name": None}
    )
    record = StackRecord(exported(queue("q1"), inner, other))
    assert [each.name for each in record.with_contents(["q1"])] == ["q1", "inner"]

    left = StackRecord(record.without([URN + "q1"]))
    assert left.names == ["inner", "q2"]
    kept = {each["urn"].rpartition("::")[2]: each for each in left.without([])["deployment"]["resources"]}
    assert "deletedWith" not in kept["inner"]
    assert kept["q2"]["dependencies"] == [URN + "q3"]
    assert kept["q2"]["propertyDependencies"] == {"forwardTo": [], "name": []}
