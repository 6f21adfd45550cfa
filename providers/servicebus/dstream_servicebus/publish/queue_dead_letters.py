"""The dead letters in a queue, for `dstream deadletter`. Needs the Listen claim.

A queue gives its messages in order, and returning one counts as a delivery attempt. So a command takes the oldest
letters, and leaves a queue's letters only where they are rejected again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from azure.core.exceptions import AzureError
from azure.servicebus import AutoLockRenewer, ServiceBusClient, ServiceBusReceivedMessage, ServiceBusReceiver
from azure.servicebus.exceptions import MessageLockLostError

from dstream.sdk import DeadLetter, DeadLetterStore, Stop
from dstream.sdk.errors import AuthError, ConfigError, UnreachableError
from dstream_servicebus.publish.replay import CHUNK_ROWS, Replay, ReplayedRow, outcome
from dstream_servicebus.retry import judge, reason

PEEK_ROWS = 250
"""Messages per request; the service returns at most 250."""
ARRIVES_S = 5.0
"""How long to wait for messages that were there a moment ago: others may have locked or taken them."""
RENEWED_S = 600.0
"""How long a message stays locked while it is replayed."""


class QueueDeadLetters(DeadLetterStore):
    """Indexes are positions in the queue. Other receivers get none of the messages that are being replayed."""

    def __init__(self, queue: str, connect: Callable[[], ServiceBusClient], replay: Replay) -> None:
        self._queue = queue
        self._connect = connect
        self._replay = replay
        self._rows: dict[int, bytes] = {}
        self._numbers: dict[int, int] = {}
        """The sequence number of each index."""

    def letters(self) -> list[DeadLetter]:
        found: list[DeadLetter] = []
        with self._receiver() as receiver:
            following = 1
            while page := receiver.peek_messages(max_message_count=PEEK_ROWS, sequence_number=following):
                for message in page:
                    following = _number(message) + 1
                    index = len(found) + 1
                    self._numbers[index] = _number(message)
                    self._rows[index] = b"".join(message.body)
                    found.append(_letter(index, message))
        return found

    def row(self, letter: DeadLetter) -> bytes:
        return self._rows[letter.index]

    def replay(self, letters: Sequence[DeadLetter], stop: Stop) -> Iterator[DeadLetter]:
        self._check_oldest(letters)
        wanted = {self._numbers[each.index]: each for each in letters}
        kept: list[ServiceBusReceivedMessage] = []
        with self._receiver() as receiver:
            while wanted and not stop.is_set():
                taken = self._take(receiver, wanted)
                if not taken:
                    break
                rows = [ReplayedRow(letter.id, self._rows[letter.index]) for letter, _ in taken]
                refusals = self._replay.deliver(rows, stop)
                if refusals is None:
                    kept += [message for _, message in taken]
                    break
                for (letter, message), refusal in zip(taken, refusals, strict=True):
                    if refusal is None:
                        _complete(receiver, message)
                    else:
                        kept.append(message)
                    yield outcome(letter, refusal)
            for message in kept:  # only now, or the queue would return them again
                receiver.abandon_message(message)

    def purge(self, letters: Sequence[DeadLetter]) -> None:
        self._check_oldest(letters)
        wanted = {self._numbers[each.index]: each for each in letters}
        with self._receiver() as receiver:
            while wanted and (taken := self._take(receiver, wanted)):
                for _, message in taken:
                    _complete(receiver, message)

    def close(self) -> None:
        self._replay.close()

    def _take(
        self, receiver: ServiceBusReceiver, wanted: dict[int, DeadLetter]
    ) -> list[tuple[DeadLetter, ServiceBusReceivedMessage]]:
        """Lock the next wanted messages and remove them from `wanted`; return others to the queue."""
        count = min(CHUNK_ROWS, len(wanted))
        taken: list[tuple[DeadLetter, ServiceBusReceivedMessage]] = []
        for message in receiver.receive_messages(max_message_count=count, max_wait_time=ARRIVES_S):
            letter = wanted.pop(_number(message), None)
            if letter is None:
                receiver.abandon_message(message)
            else:
                taken.append((letter, message))
        return taken

    def _check_oldest(self, letters: Sequence[DeadLetter]) -> None:
        if [each.index for each in letters] != list(range(1, len(letters) + 1)):
            raise ConfigError(
                "servicebus.not_the_oldest",
                "dead letters in a queue can only be taken from the oldest on",
                hint="Omit --only, or keep dead letters in a file.",
                config_path="dead_letter.queue",
            )

    @contextmanager
    def _receiver(self) -> Iterator[ServiceBusReceiver]:
        """Yield a receiver that locks messages. Turns the SDK's exceptions into DStreamErrors."""
        try:
            with (
                AutoLockRenewer(max_lock_renewal_duration=RENEWED_S) as renewer,
                self._connect() as client,
                client.get_queue_receiver(self._queue, auto_lock_renewer=renewer) as receiver,
            ):
                yield receiver
        except (AzureError, OSError) as error:
            stop = judge(error, self._queue, "queue").error or UnreachableError(
                "servicebus.unreachable", f"Service Bus is unreachable: {reason(error)}"
            )
            stop.config_path = "dead_letter.queue"
            if isinstance(stop, AuthError):
                stop.hint = "Reading dead letters needs the Listen claim (role Azure Service Bus Data Receiver)."
            raise stop from error


def _letter(index: int, message: ServiceBusReceivedMessage) -> DeadLetter:
    found = {_text(name): _text(value) for name, value in (message.application_properties or {}).items()}
    size = found.get("DStreamSize", "")
    return DeadLetter(
        index,
        found.get("DStreamMessageId") or message.message_id or "",
        found.get("DStreamReason") or "unknown",
        found.get("DStreamRejectedAt", ""),
        found.get("DStreamEntity", ""),
        found.get("DStreamDetail", ""),
        int(size) if size.isdecimal() else 0,
    )


def _complete(receiver: ServiceBusReceiver, message: ServiceBusReceivedMessage) -> None:
    """If the lock is lost, the message returns and is replayed again, with the same id."""
    with suppress(MessageLockLostError):
        receiver.complete_message(message)


def _number(message: ServiceBusReceivedMessage) -> int:
    assert message.sequence_number is not None  # set on every received message
    return message.sequence_number


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
