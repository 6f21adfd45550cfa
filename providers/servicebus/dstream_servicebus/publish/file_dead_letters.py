"""The dead letters in a file, for `dstream deadletter`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from dstream.sdk import DeadLetter, DeadLetterStore, Stop
from dstream.sdk.errors import DataError
from dstream_servicebus.publish.dead_letter_file import DeadLetterFile, parse
from dstream_servicebus.publish.rejections import Refusal
from dstream_servicebus.publish.replay import CHUNK_ROWS, Replay, ReplayedRow, outcome

_UNREADABLE = "unreadable"


class FileDeadLetters(DeadLetterStore):
    """One dead letter per line. A line that is not a record, such as one that a crash has cut off, can be purged."""

    def __init__(self, path: str, replay: Replay, *, exclusive: bool) -> None:
        """Raises LockedError if `exclusive` and another command removes letters."""
        self._file = DeadLetterFile(path)
        self._replay = replay
        self._lock = ExitStack()
        if exclusive:
            self._lock.enter_context(self._file.exclusive())
        self._rows: list[bytes | None] = []

    def letters(self) -> Iterator[DeadLetter]:
        self._rows = []
        for index, line in enumerate(self._file.lines(), start=1):
            record = parse(line)
            if record is None:
                self._rows.append(None)
                yield DeadLetter(index, "", _UNREADABLE, detail="the line is not a dead letter", size=len(line))
                continue
            self._rows.append(record.row)
            yield DeadLetter(
                index, record.message_id, record.reason, record.time, record.entity, record.detail, record.size
            )

    def row(self, letter: DeadLetter) -> bytes:
        row = self._rows[letter.index - 1]
        return self._file.lines()[letter.index - 1] if row is None else row

    def replay(self, letters: Sequence[DeadLetter], stop: Stop) -> Iterator[DeadLetter]:
        removed = 0
        for start in range(0, len(letters), CHUNK_ROWS):
            if stop.is_set():
                return
            chunk = letters[start : start + CHUNK_ROWS]
            rows = {each.index: ReplayedRow(each.id, row) for each in chunk if (row := self._rows[each.index - 1])}
            refusals = self._replay.deliver(list(rows.values()), stop)
            if refusals is None:
                return
            refused = {index: each for index, each in zip(rows, refusals, strict=True) if each is not None}
            done = rows.keys() - refused.keys()
            self._file.remove({index - 1 - removed for index in done})
            for each in chunk:
                yield outcome(each, None if each.index in done else refused.get(each.index, _NOT_A_ROW))
            removed += len(done)

    def purge(self, letters: Sequence[DeadLetter]) -> None:
        self._file.remove({each.index - 1 for each in letters})

    def close(self) -> None:
        self._lock.close()
        self._replay.close()


_NOT_A_ROW = Refusal("unroutable", DataError("servicebus.bad_line", "the line is not a dead letter"))
