from __future__ import annotations

from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.identity import CredentialUnavailableError
from azure.servicebus import exceptions as sdk
from azure.servicebus._pyamqp.error import (
    AMQPConnectionError,
    AMQPException,
    AMQPLinkError,
    AMQPSessionError,
    ErrorCondition,
    MessageSendFailed,
)
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


def unreachable_sign_in() -> sdk.ServiceBusError:
    failed = ClientAuthenticationError("Authentication failed: no route to login.microsoftonline.com")
    failed.__cause__ = ServiceRequestError("no route")
    return sdk.ServiceBusError("Handler failed", error=failed)


@pytest.mark.parametrize("refused", [ClientAuthenticationError("AADSTS7000215"), CredentialUnavailableError("AADSTS7")])
@pytest.mark.parametrize("is_wrapped", [True, False])
def test_a_failed_sign_in_is_an_auth_error_and_not_retried_forever(refused: Exception, is_wrapped: bool) -> None:
    error = sdk.ServiceBusError("Handler failed", error=refused) if is_wrapped else refused

    stop: Any = judge(error, "orders", "queue").error
    assert (stop.code, stop.kind, stop.config_path) == ("servicebus.sign_in_failed", "auth", "credential")
    assert "AADSTS7" in stop.message
    assert [judge(error, "orders", "queue", failures).action for failures in (1, 9, 10)] == [
        "reconnect",
        "reconnect",
        "stop",
    ]


def test_a_machine_without_an_identity_endpoint_has_no_identity() -> None:
    unavailable = CredentialUnavailableError("no response from the IMDS endpoint")
    unavailable.__cause__ = ServiceRequestError("169.254.169.254")

    assert judge(sdk.ServiceBusError("Handler failed", error=unavailable), "orders", "queue").action == "stop"


def test_an_unreachable_identity_provider_is_retried() -> None:
    assert judge(unreachable_sign_in(), "orders", "queue", 100).action == "reconnect"


def test_an_expired_token_gets_one_new_connection() -> None:
    expired = sdk.ServiceBusAuthorizationError(message="ExpiredToken: The token is expired. TrackingId:1")

    assert judge(expired, "orders", "queue", 1).action == "reconnect"
    assert judge(expired, "orders", "queue", 2).action == "stop"
    assert judge(expired, "orders", "queue").action == "stop"


def test_waits_double_up_to_a_limit_with_jitter() -> None:
    schedule = Schedule(first_s=0.2, max_s=10, busy_s=2)

    assert [schedule.wait_s(n, "reconnect", 1.0) for n in (1, 2, 3, 7, 100)] == [0.2, 0.4, 0.8, 10, 10]
    assert schedule.wait_s(1, "reconnect", 0.0) == 0.1


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_a_full_entity_is_not_retried_before_its_wait(jitter: float) -> None:
    schedule = Schedule(first_s=0.2, max_s=10, busy_s=2)

    waits = [schedule.wait_s(n, "full", jitter) for n in range(1, 9)]

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


@pytest.mark.parametrize("kind", [AMQPLinkError, AMQPSessionError, AMQPConnectionError])
def test_a_link_that_was_open_says_nothing_about_a_message_or_an_entity(kind: type[AMQPException]) -> None:
    inner = kind(ErrorCondition.NotAllowed)
    for error in (
        sdk.MessagingEntityDisabledError(error=inner),
        sdk.MessagingEntityNotFoundError(error=inner),
        sdk.ServiceBusAuthorizationError(error=inner),
        sdk.MessageSizeExceededError(error=inner),
        sdk.ServiceBusError("no", condition=b"amqp:not-allowed", error=inner),
    ):
        assert judge(error, "orders", "queue", 10, is_sending=True).action == "reconnect"
        assert judge(error, "orders", "queue", 11, is_sending=True).action == judge(error, "orders", "queue").action
        assert judge(error, "orders", "queue", 1).action != "reconnect"


def test_a_refused_message_says_so_at_once() -> None:
    error = sdk.MessagingEntityDisabledError(error=MessageSendFailed(ErrorCondition.NotAllowed))
    assert judge(error, "orders", "queue", 1, is_sending=True).action == "stop"
