"""Decides which failed sends to retry, and how. Pure except for the SDK's exception classes.

The SDK's own retries are disabled: they immediately resend messages that may have been stored, resend as much after
server-busy as before, and never drop a connection that timed out. Sources: `_pyamqp_transport.py` of azure-servicebus
7.15 (conditions and exceptions); Microsoft "Service Bus messaging exceptions" (their meaning).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError, ServiceResponseError
from azure.servicebus import exceptions as sdk

from dstream.sdk.errors import AuthError, ConfigError, DataError, DStreamError

Action = Literal["reconnect", "busy", "full", "too_large", "refused", "stop"]
"""reconnect: retry on a new connection; busy: on the same one, at a lower rate; full: on the
same one, after a longer wait; too_large, refused: with
fewer messages, since one of them is at fault."""

REFUSED = frozenset(
    {
        "amqp:not-allowed",
        "amqp:not-implemented",
        "com.microsoft:argument-error",
        "com.microsoft:argument-out-of-range",
    }
)
"""What the service answers to a message that it will never accept: the conditions of the exceptions that Microsoft's
"Service Bus messaging exceptions" lists as user coding errors, where a retry does not help (InvalidOperation,
NotSupported, Argument, ArgumentOutOfRange; mapping: `AmqpError.cs` of Azure.Messaging.ServiceBus). All other refusals
are about the entity, the identity or the service."""
_NO_SESSION = "SessionId was not set"
_NO_BATCHES = "partitioning and duplicate detection"
"""Wording: azure-service-bus issue 103."""
_EXPIRED = "ExpiredToken"
"""Microsoft: "Troubleshooting guide for Azure Service Bus". A new connection gets a new token."""
_PROXY_AUTHENTICATION = "via proxy status: 407"
"""Wording: `_http.py` of websocket-client 1.9."""
_SIGN_INS = 10
"""Failed sign-ins in a row after which a stream ends: about a minute. An identity endpoint may be down for a moment."""
_OF_LINKS = ("AMQPLinkError", "AMQPSessionError", "AMQPConnectionError")
_DETACHES = 10
"""Failures in a row up to which the reason of a detached link is not believed."""
FIRST_CONNECTION = 1_000_000
"""Instead of a number of failures: nothing has worked yet, so that no error is put down to bad luck."""
_LONGEST = 400


@dataclass(frozen=True, slots=True)
class Verdict:
    """How to handle a failed send. With `error`, stop; with the action `refused`, only once a message that was sent
    alone is refused."""

    action: Action
    error: DStreamError | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """Waits between attempts, in seconds. `busy` is left to `publish/send_rate.py`."""

    first_s: float
    max_s: float
    busy_s: float

    def wait_s(self, failures: int, action: Action, jitter: float) -> float:
        """Return the wait after the nth failure in a row; a random `jitter` in 0..1 spreads the senders' retries."""
        doubled = 2.0 ** min(failures - 1, 30)
        if action == "full":
            return min(max(self.max_s, self.busy_s), self.busy_s * doubled) + self.busy_s * jitter / 4
        return min(self.max_s, self.first_s * doubled) * (0.5 + jitter / 2)


class RetryPace:
    """The share of a full send to attempt: halved on a slow link, then restored step by step."""

    __slots__ = ("share",)

    _LEAST = 1 / 64
    _STEP = 1 / 8

    def __init__(self) -> None:
        self.share = 1.0

    def slow_down(self) -> None:
        self.share = max(self._LEAST, self.share / 2)

    def recover(self) -> None:
        self.share = min(1.0, self.share + self._STEP)


def judge(
    error: Exception, entity: str, kind: str, failures: int = FIRST_CONNECTION, *, is_sending: bool = False
) -> Verdict:
    """Return what to do after `error`. Unknown errors are retried on a new connection.

    `failures`: how many sends in a row have failed on a connection that worked before. `is_sending`: whether the link
    was open. If the service has detached it since, for whatever reason, no message was refused, and whether an entity
    is gone, disabled or forbidden shows when a new link is attached.
    """
    if isinstance(error, sdk.ServiceBusServerBusyError):
        return Verdict("busy")
    if isinstance(error, sdk.ServiceBusQuotaExceededError):
        return Verdict("full")
    if is_sending and failures <= _DETACHES and _is_of_link(error):
        return Verdict("reconnect")
    if isinstance(error, sdk.MessageSizeExceededError):
        return Verdict("too_large")
    sign_in = _failed_sign_in(error)
    stop = _sign_in_failed(sign_in) if sign_in is not None else _final(error, entity, kind)
    if sign_in is not None and failures < _SIGN_INS:
        return Verdict("reconnect")
    if _EXPIRED in str(error) and failures <= 1:
        return Verdict("reconnect")
    if stop is not None:
        return Verdict("refused" if isinstance(stop, DataError) else "stop", stop)
    return Verdict("reconnect")


def _final(error: Exception, entity: str, kind: str) -> DStreamError | None:
    if _PROXY_AUTHENTICATION in str(error):
        return AuthError(
            "servicebus.proxy_refused",
            f"the HTTP proxy refused the connection: {reason(error)}",
            hint="Set the user and password in proxy: http://USER:PASSWORD@HOST:PORT.",
            config_path="proxy",
        )
    status = _token_status(error)
    condition = getattr(error, "_condition", None)
    if isinstance(error, sdk.MessagingEntityNotFoundError) or status == 404:
        return ConfigError(
            "servicebus.entity_not_found",
            f'{kind} "{entity}" does not exist in this namespace',
            hint=f"Run `dstream init` to create it, or set {kind} to an existing one.",
            config_path=kind,
        )
    if isinstance(error, sdk.MessagingEntityDisabledError):
        return ConfigError(
            "servicebus.entity_disabled",
            f'{kind} "{entity}" is disabled or does not accept messages',
            hint="Set its status to Active in the portal or with `az servicebus`.",
            config_path=kind,
        )
    if isinstance(error, sdk.ServiceBusAuthorizationError) or status in (401, 403):
        return AuthError(
            "servicebus.unauthorized",
            f'not authorized to send to {kind} "{entity}": {reason(error)}',
            hint="The key or identity needs the Send claim (role Azure Service Bus Data Sender). "
            'If the key of connection = "stack" was regenerated, delete the authorization rule with `dstream destroy '
            "--target ENTITY/dstream-send` and run `dstream init`.",
            config_path="connection_string",
        )
    if condition in REFUSED and _NO_SESSION in str(error):
        return session_required(entity, kind)
    if condition in REFUSED and _NO_BATCHES in str(error):
        return no_batches(entity, kind)
    if condition in REFUSED:
        return DataError(
            "servicebus.refused",
            f'Service Bus refused a message for {kind} "{entity}": {reason(error)}',
            hint="Check the message's settings (session, partition_key, properties), or keep such events with on_error "
            '{ refused = "dead_letter" }. Nothing after it was sent.',
        )
    return None


def _is_of_link(error: Exception) -> bool:
    """Whether the error is that of a detached link, or a closed session or connection, rather than of a message.

    The SDK reports it at the next send if it has read the frame by then (azure-servicebus 7.15, `_pyamqp/link.py`). The
    classes are private; without them, this returns False.
    """
    return type(getattr(error, "inner_exception", None)).__name__ in _OF_LINKS


def _failed_sign_in(error: BaseException) -> ClientAuthenticationError | None:
    """Return the failure of the credential. None for another error, and if the identity provider is unreachable.

    azure-servicebus wraps exceptions of credentials (`create_servicebus_exception`); azure-identity turns those of its
    transport into ClientAuthenticationError (`_internal/decorators.py`).
    """
    found = error if isinstance(error, ClientAuthenticationError) else getattr(error, "inner_exception", None)
    if not isinstance(found, ClientAuthenticationError):
        return None
    from azure.identity import CredentialUnavailableError  # slow to import

    if isinstance(found, CredentialUnavailableError):
        return found  # an identity endpoint that does not answer is none
    cause: BaseException | None = found
    while cause is not None:
        if isinstance(cause, ServiceRequestError | ServiceResponseError | OSError):
            return None
        cause = cause.__cause__ or cause.__context__
    return found


def _sign_in_failed(error: ClientAuthenticationError) -> AuthError:
    return AuthError(
        "servicebus.sign_in_failed",
        f"sign-in to Entra ID failed: {' '.join(str(error).split())[:_LONGEST]}",
        hint="Check credential and the identity that it uses: tenant_id, client_id, client_secret or `az login`.",
        config_path="credential",
    )


def session_required(entity: str, kind: str) -> ConfigError:
    return ConfigError(
        "servicebus.session_required",
        f'{kind} "{entity}" requires sessions, but the messages have no session id',
        hint='Set session to "table" or "key", or use an entity without sessions.',
        config_path="session",
    )


def no_batches(entity: str, kind: str) -> ConfigError:
    return ConfigError(
        "servicebus.no_batches",
        f'{kind} "{entity}" has partitioning and duplicate detection: Service Bus refuses batches for it',
        hint="Turn one of them off: entity { duplicate_detection = false } or, except in Premium, "
        "entity { partitioning = false }. Both replace the entity.",
        config_path=kind,
    )


def condition_of(error: BaseException) -> str:
    """The AMQP condition that the service answered; the name of the exception if it answered none."""
    condition = getattr(error, "_condition", None)
    return str(getattr(condition, "value", condition) or type(error).__name__)


def reason(error: BaseException) -> str:
    """The first line of the SDK's message."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _token_status(error: Exception) -> int | None:
    """The HTTP-like status of a refused $cbs token: the broker returns 404 if the entity does not exist."""
    status = getattr(getattr(error, "inner_exception", None), "status_code", None)
    return status if isinstance(status, int) else None
