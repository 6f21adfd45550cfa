"""The lines about dead letters: rows that an output could not deliver and keeps in a store."""

from __future__ import annotations

from typing import Literal

import msgspec

from dstream.protocol.messages import UNREADABLE, BadLine, Command

DeadLetterAction = Literal["list", "show", "replay", "purge"]
DeadLetterOutcome = Literal["kept", "delivered", "rejected"]


class DeadLetterReference(msgspec.Struct, frozen=True):
    """Names a dead letter as it was listed; both fields must still match."""

    index: int
    id: str


class DeadLetterRequest(msgspec.Struct, frozen=True):
    """What line 1 of `dead_letters` asks for. `letters`: None means all of them; for `show`, exactly one."""

    action: DeadLetterAction
    letters: list[DeadLetterReference] | None = None


class DeadLettersCommand(Command, frozen=True, kw_only=True):
    """Line 1 for an output with the capability `dead_letters`."""

    dead_letters: DeadLetterRequest


class DeadLetter(msgspec.Struct, frozen=True, tag_field="dstream", tag="dead_letter", omit_defaults=True):
    """One dead letter: when listed or shown, and when a replay has ended for it."""

    index: int
    """The position in the store, from 1 for the oldest."""
    id: str
    """The id under which the destination knows the row, such as a message id; empty if there is none."""
    reason: str
    """Why it was rejected, in one word."""
    time: str = ""
    """When it was rejected: RFC 3339, UTC."""
    entity: str = ""
    """Where it was sent, such as a queue; empty if it has no destination."""
    detail: str = ""
    """Why it was rejected, in one sentence."""
    size: int = 0
    """Bytes."""
    outcome: DeadLetterOutcome = "kept"
    """After a replay: delivered and removed, or rejected again and kept."""

    @property
    def reference(self) -> DeadLetterReference:
        return DeadLetterReference(self.index, self.id)


class DeadLettersDone(msgspec.Struct, frozen=True, tag_field="dstream", tag="dead_letters"):
    """The last line: how many dead letters were listed, shown, delivered or purged."""

    count: int


_KINDS = (b'{"dstream":"dead_letter"', b'{"dstream":"dead_letters"')
_line = msgspec.json.Decoder(DeadLetter | DeadLettersDone)
_command = msgspec.json.Decoder(DeadLettersCommand)


def decode_dead_letter(line: bytes) -> DeadLetter | DeadLettersDone | None:
    """Decode a line of the answer; return None for another control line. Raises BadLine."""
    if not line.startswith(_KINDS):
        return None
    try:
        answer: DeadLetter | DeadLettersDone = _line.decode(line)
    except UNREADABLE as error:
        raise BadLine(str(error)) from error
    return answer


def decode_dead_letters_command(line: bytes) -> DeadLettersCommand:
    """Decode line 1 of `dead_letters`. Raises BadLine."""
    try:
        return _command.decode(line)
    except UNREADABLE as error:
        raise BadLine(str(error)) from error
