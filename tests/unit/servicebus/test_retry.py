from __future__ import annotations

from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.servicebus import exceptions as sdk
from dstream_servicebus.retry import RetryPace, Schedule, judge

from dstream.errors import DStreamError


class Refused(Exception):
    def __init__(self, status_code: int) -> None:
        super().__init__(f"CBS Token authentication failed. Status code: {status_code}")
        self.status_code = status_code


def with_condition(condition: bytes, message: str = "no") -> sdk.ServiceBusError:
    return sdk.ServiceBusError(message, condition=condition)


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (sdk.ServiceBusServerBusyError(), "busy"),
        (sdk.ServiceBusQuotaExceededError(), "full"),
        (sdk.MessageSizeExceededError(), "too_large"),
        (sdk.OperationTimeoutError(), "reconnect"),
        (sdk.ServiceBusConnectionError(), "reconnect"),
        (sdk.ServiceBusAuthenticationError(error=Refused(500)), "reconnect"),
        (sdk.ServiceBusAuthenticationError(), "reconnect"),
        (with_condition(b"amqp:internal-error"), "reconnect"),
        (ServiceRequestError("no route to the token endpoint"), "reconnect"),
        (ConnectionRefusedError(), "reconnect"),
    ],
)
def test_transient_errors_are_retried(error: Exception, action: str) -> None:
    verdict = judge(error, "orders", "queue")

    assert (verdict.action, verdict.error) == (action, None)


@pytest.mark.parametrize(
    ("error", "code", "kind", "path"),
    [
        (sdk.MessagingEntityNotFoundError(), "servicebus.entity_not_found", "config", "queue"),
        (sdk.ServiceBusAuthenticationError(error=Refused(404)), "servicebus.entity_not_found", "config", "queue"),
        (sdk.MessagingEntityDisabledError(), "servicebus.entity_disabled", "config", "queue"),
        (sdk.ServiceBusAuthenticationError(error=Refused(401)), "servicebus.unauthorized", "auth", "connection_string"),
        (sdk.ServiceBusAuthorizationError(), "servicebus.unauthorized", "auth", "connection_string"),
        (ClientAuthenticationError("wrong secret"), "servicebus.unauthorized", "auth", "connection_string"),
        (
            with_condition(b"amqp:not-allowed", "The SessionId was not set on a message"),
            "servicebus.session_required",
            "config",
            "session",
        ),
        (
            with_condition(
                b"amqp:not-allowed",
                "Batching brokered messages with distinct SessionId, PartitionKey, or MessageId is not supported for an"
                " entity with partitioning and duplicate detection enabled.",
            ),
            "servicebus.no_batches",
            "config",
            "queue",
        ),
        (with_condition(b"com.microsoft:argument-error"), "servicebus.refused", "data", ""),
    ],
)
def test_permanent_errors_stop_with_a_cause_and_a_fix(error: Exception, code: str, kind: str, path: str) -> None:
    stop: Any = judge(error, "orders", "queue").error

    assert isinstance(stop, DStreamError)
    assert (stop.code, stop.kind, stop.config_path) == (code, kind, path)
    assert '"orders"' in stop.message
    assert stop.hint


def test_waits_double_up_to_a_limit_with_jitter() -> None:
    schedule = Schedule(first_s=0.2, max_s=10, busy_s=2)

    assert [schedule.wait_s(n, "reconnect", 1.0) for n in (1, 2, 3, 7, 100)] == [0.2, 0.4, 0.8, 10, 10]
    assert schedule.wait_s(1, "reconnect", 0.0) == 0.1


@pytest.mark.parametrize("action", ["busy", "full"])
@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_a_busy_server_is_not_retried_before_its_wait(action: Any, jitter: float) -> None:
    schedule = Schedule(first_s=0.2, max_s=10, busy_s=2)

    waits = [schedule.wait_s(n, action, jitter) for n in range(1, 9)]

    assert min(waits) >= 2
    assert max(waits) <= 10.5
    assert waits == sorted(waits)


def test_the_pace_halves_and_recovers_in_steps() -> None:
    pace = RetryPace()
    pace.slow_down()
    pace.slow_down()
    assert pace.share == 0.25

    for _ in range(6):
        pace.recover()

    assert pace.share == 1.0
