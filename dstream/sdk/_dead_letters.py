"""The store of an output's dead letters, and the command that lists, shows, replays or purges them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence

from dstream.errors import RefusedError
from dstream.protocol.dead_letters import DeadLetter, DeadLetterReference, DeadLetterRequest, DeadLettersDone
from dstream.protocol.messages import Stop, decode_control, encode
from dstream.sdk._channel import Channel
from dstream.sdk._stream import Stop as StopSign


class DeadLetterStore:
    """Derive from it to offer `dstream deadletter`. All methods may raise a DStreamError."""

    def letters(self) -> Iterable[DeadLetter]:
        """Return all dead letters in the order in which they were rejected, with `index` from 1."""
        raise NotImplementedError

    def row(self, letter: DeadLetter) -> bytes:
        """Return the row as `write` received it."""
        raise NotImplementedError

    def replay(self, letters: Sequence[DeadLetter], stop: StopSign) -> Iterator[DeadLetter]:
        """Deliver these letters in order, under their ids, and yield each with its `outcome`.

        Remove a letter durably after the destination has accepted it and before it is yielded: if the process is killed
        in between, the next replay delivers it again. Return early when `stop` is set.
        """
        raise NotImplementedError

    def purge(self, letters: Sequence[DeadLetter]) -> None:
        """Remove these letters without delivering them."""
        raise NotImplementedError

    def close(self) -> None:
        """Release what the store holds, such as a lock. Called once at the end."""


def answer(store: DeadLetterStore, request: DeadLetterRequest, channel: Channel) -> None:
    """Carry out the request and write the answer."""
    try:
        channel.send(encode(DeadLettersDone(_carried_out(store, request, channel))))
    finally:
        store.close()


def _carried_out(store: DeadLetterStore, request: DeadLetterRequest, channel: Channel) -> int:
    chosen = _chosen(list(store.letters()), request.letters)
    match request.action:
        case "list":
            for letter in chosen:
                channel.send(encode(letter))
        case "show":
            for letter in chosen[:1]:
                channel.send(encode(letter) + store.row(letter) + b"\n")
        case "purge":
            store.purge(chosen)
        case "replay":
            return _replayed(store, chosen, channel)
    return len(chosen)


def _replayed(store: DeadLetterStore, chosen: Sequence[DeadLetter], channel: Channel) -> int:
    stop = StopSign()
    threading.Thread(target=_listen, args=(channel, stop), name="host", daemon=True).start()
    delivered = 0
    for letter in store.replay(chosen, stop):
        delivered += letter.outcome == "delivered"
        channel.send(encode(letter))
    return delivered


def _listen(channel: Channel, stop: StopSign) -> None:
    """Set `stop` when the host asks for it or is gone."""
    for line in channel.lines():
        if isinstance(decode_control(line), Stop):
            break
    stop.set()


def _chosen(letters: list[DeadLetter], wanted: Sequence[DeadLetterReference] | None) -> list[DeadLetter]:
    """Return the wanted letters in order. Raises RefusedError if one is no longer where it was listed."""
    if wanted is None:
        return letters
    present = {(letter.index, letter.id): letter for letter in letters}
    if any((each.index, each.id) not in present for each in wanted):
        raise RefusedError(
            "deadletter.changed",
            "the dead letters have changed since they were listed",
            hint="List them again.",
        )
    return [present[key] for key in sorted({(each.index, each.id) for each in wanted})]
