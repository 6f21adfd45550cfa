from __future__ import annotations

import json

import pytest
from dstream_sandbox.servicebus.core import Message
from dstream_sandbox.servicebus.faults import Fault, Faults


def test_a_fault_applies_the_given_number_of_times_and_only_to_its_entity() -> None:
    faults = Faults()
    faults.add(Fault("reject", entity="Orders", times=2))
    assert faults.strike("reject", "bills") is None
    assert faults.strike("release", "orders") is None
    assert [faults.strike("reject", "orders") is not None for _ in range(3)] == [True, True, False]
    assert not faults


def test_a_fault_can_apply_to_one_message() -> None:
    faults = Faults()
    faults.add(Fault("reject", message_id="7"))
    good, bad = (Message(b"", id_, None, None, None, None, dict, dict) for id_ in ("6", "7"))
    assert faults.strike("reject", "orders", messages=[good]) is None
    assert faults.strike("reject", "orders", messages=[good, bad]) is not None
    with pytest.raises(ValueError, match="only a reject fault"):
        Fault("drop", message_id="7")


def test_a_fault_skips_the_first_operations() -> None:
    faults = Faults()
    faults.add(Fault("drop", after=2, times=1, at="before_store"))
    assert faults.strike("drop", "q", at="after_store") is None
    struck = [faults.strike("drop", "q", at="before_store") is not None for _ in range(4)]
    assert struck == [False, False, True, False]


def test_a_fault_applies_only_to_its_side() -> None:
    faults = Faults()
    faults.add(Fault("silence", on="receive"))
    assert faults.strike("silence", "q") is None
    assert faults.strike("silence", "q", on="receive") is not None


def test_a_fault_without_a_count_stays_until_cleared() -> None:
    faults, changes = Faults(), []
    faults.on_change = lambda: changes.append(bool(faults))
    faults.add(Fault("silence"))
    assert all(faults.strike("silence", "q") for _ in range(5))
    faults.clear()
    assert faults.strike("silence", "q") is None
    assert changes == [True, False]


def test_a_rate_limit_refuses_excess_messages_until_the_next_second() -> None:
    faults = Faults()
    faults.add(Fault("throttle", rate=100))
    assert faults.throttled("q", 90, 10.0) is None
    error = faults.throttled("q", 20, 10.5)
    assert error is not None
    assert error.condition == "com.microsoft:server-busy"
    assert faults.throttled("q", 10, 10.9) is None
    assert faults.throttled("q", 20, 11.0) is None


def test_a_batch_over_the_rate_limit_is_paid_for_by_the_next_seconds() -> None:
    faults = Faults()
    faults.add(Fault("throttle", rate=100))
    assert faults.throttled("q", 500, 10.0) is None
    assert faults.throttled("q", 1, 14.9) is not None
    assert faults.throttled("q", 1, 15.0) is None
    assert faults.throttled("q", 500, 15.1) is not None


def test_credits_are_renewed_at_the_start_of_a_second_and_not_saved() -> None:
    faults = Faults()
    faults.add(Fault("throttle", rate=100))
    assert faults.throttled("q", 100, 10.9) is None
    assert faults.throttled("q", 100, 11.0) is None
    assert faults.throttled("q", 1, 11.9) is not None
    assert faults.throttled("q", 60, 20.0) is None
    assert faults.throttled("q", 60, 20.1) is not None


def test_the_entities_of_a_namespace_share_its_credits() -> None:
    faults = Faults()
    faults.add(Fault("throttle", rate=100))
    assert faults.throttled("q", 60, 10.0) is None
    assert faults.throttled("other", 60, 10.1) is not None


def test_faults_are_controlled_with_json() -> None:
    faults = Faults()
    status, _ = faults.handle("POST", b'{"kind": "reject", "condition": "amqp:internal-error", "times": 3}')
    assert status == 200
    status, body = faults.handle("GET", b"")
    [listed] = json.loads(body)["faults"]
    assert (status, listed["condition"], listed["times"]) == (200, "amqp:internal-error", 3)
    faults.handle("POST", b'{"clear": true}')
    assert json.loads(faults.handle("GET", b"")[1])["faults"] == []


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{}", "needs a kind"),
        (b'{"kind": "explode"}', "kind must be one of"),
        (b'{"kind": "reject", "tims": 1}', "unknown field tims"),
        (b'{"kind": "reject", "times": "1"}', "times"),
        (b'{"kind": "reject", "times": 0}', "at least 1"),
        (b'{"kind": "throttle", "rate": 0}', "rate"),
        (b'{"kind": "drop", "on": "monday"}', "on must be"),
        (b'{"kind": "drop", "at": "noon"}', "at of drop must be after_store or before_store or idle"),
        (b'{"kind": "throttle", "at": "idle"}', "throttle has no at"),
        (b'{"kind": "drop", "at": "idle", "on": "receive"}', "only links that send"),
        (b'{"kind": "azure"}', "a code or seconds"),
        (b'{"kind": "azure", "seconds": 1, "operation": "check"}', "operation must be"),
        (b'{"kind": "azure", "seconds": 1, "when": "never"}', "before or after"),
        (b"[]", "JSON object"),
        (b"{", "Expecting"),
    ],
)
def test_an_invalid_request_names_the_problem_and_changes_nothing(body: bytes, why: str) -> None:
    faults = Faults()
    status, answer = faults.handle("POST", body)
    assert status == 400
    assert why in json.loads(answer)["error"]
    assert not faults


def test_an_azure_fault_applies_to_its_operation_and_matching_names() -> None:
    faults = Faults()
    faults.add(Fault("azure", entity="orders-*", code="QuotaExceeded", when="after", times=1))
    assert faults.strike_azure("create", "orders-eu", "before") is None
    assert faults.strike_azure("delete", "orders-eu", "after") is None
    assert faults.strike_azure("create", "bills", "after") is None
    assert faults.strike("reject", "orders-eu") is None
    assert faults.strike_azure("create", "Orders-EU", "after") is not None
    assert not faults
