"""What `dstream deadletter` reads from a file and removes from it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from dstream_servicebus.publish.dead_letter_file import DeadLetterFile
from dstream_servicebus.publish.file_dead_letters import FileDeadLetters
from dstream_servicebus.publish.rejected import rejected
from dstream_servicebus.publish.rejections import Refusal
from dstream_servicebus.publish.replay import CHUNK_ROWS, ReplayedRow

from dstream.errors import DataError
from dstream.sdk import Stop

NOW = datetime(2026, 11, 30, tzinfo=UTC)


def row(n: int) -> bytes:
    return b'{"data":{"n":%d}}' % n


class Destination:
    """Accepts rows, except for some. Can stop in the middle, as a killed process does."""

    def __init__(self, refuses: Collection[int] = (), *, dies_after: int | None = None) -> None:
        self._refuses = refuses
        self._chunks_left = dies_after
        self.accepted: list[ReplayedRow] = []

    def deliver(self, rows: Sequence[ReplayedRow], stop: Stop) -> list[Refusal | None]:
        self.accepted += rows
        if self._chunks_left == 0:
            raise KeyboardInterrupt
        self._chunks_left = self._chunks_left and self._chunks_left - 1
        refusal = Refusal("refused", DataError("x.y", "no"))
        return [refusal if json.loads(each.row)["data"]["n"] in self._refuses else None for each in rows]

    def close(self) -> None:
        pass


def store(path: Path, destination: Any = None) -> FileDeadLetters:
    return FileDeadLetters(str(path), destination or Destination(), exclusive=True)


def filled(tmp_path: Path, count: int) -> Path:
    path = tmp_path / "rejected.jsonl"
    file = DeadLetterFile(str(path))
    for n in range(count):
        file.add(rejected("oversize", "too large", "q", f"id-{n}", row(n), 300, 200, NOW))
    return path


def replay(path: Path, destination: Destination) -> list[tuple[int, str]]:
    letters = store(path, destination)
    try:
        return [(each.index, each.outcome) for each in letters.replay(list(letters.letters()), Stop())]
    finally:
        letters.close()


def ids(path: Path) -> list[str]:
    letters = store(path)
    try:
        return [each.id for each in letters.letters()]
    finally:
        letters.close()


def test_rows_are_delivered_in_order_with_their_ids_and_removed(tmp_path: Path) -> None:
    count = 2 * CHUNK_ROWS + 7
    path = filled(tmp_path, count)
    destination = Destination()

    assert replay(path, destination) == [(n + 1, "delivered") for n in range(count)]
    assert destination.accepted == [ReplayedRow(f"id-{n}", row(n)) for n in range(count)]
    assert ids(path) == []


def test_rows_that_are_refused_again_stay_in_order(tmp_path: Path) -> None:
    path = filled(tmp_path, 2 * CHUNK_ROWS)
    refused = {0, 3, CHUNK_ROWS - 1, CHUNK_ROWS, 2 * CHUNK_ROWS - 1}

    outcomes = replay(path, Destination(refused))

    assert [index - 1 for index, outcome in outcomes if outcome == "rejected"] == sorted(refused)
    assert ids(path) == [f"id-{n}" for n in sorted(refused)]


@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_a_replay_that_is_killed_resumes_and_repeats_at_most_one_chunk(tmp_path: Path, chunks: int) -> None:
    count = 3 * CHUNK_ROWS
    path = filled(tmp_path, count)
    first, second = Destination(dies_after=chunks), Destination()

    with pytest.raises(KeyboardInterrupt):
        replay(path, first)
    replay(path, second)

    assert second.accepted == [ReplayedRow(f"id-{n}", row(n)) for n in range(chunks * CHUNK_ROWS, count)]
    assert ids(path) == []


def test_a_stopped_replay_sends_nothing_more(tmp_path: Path) -> None:
    path = filled(tmp_path, 3 * CHUNK_ROWS)
    letters, stop = store(path), Stop()

    for each in letters.replay(list(letters.letters()), stop):
        if each.index == 5:
            stop.set()

    letters.close()
    assert ids(path) == [f"id-{n}" for n in range(CHUNK_ROWS, 3 * CHUNK_ROWS)]


def test_an_unreadable_line_is_listed_stays_after_a_replay_and_can_be_purged(tmp_path: Path) -> None:
    path = filled(tmp_path, 2)
    path.write_bytes(b'{"reason":"over\n' + path.read_bytes())
    destination = Destination()

    assert replay(path, destination) == [(1, "rejected"), (2, "delivered"), (3, "delivered")]
    assert [each.message_id for each in destination.accepted] == ["id-0", "id-1"]

    letters = store(path)
    (unreadable,) = letters.letters()
    assert (unreadable.reason, unreadable.id, letters.row(unreadable)) == ("unreadable", "", b'{"reason":"over')
    letters.purge([unreadable])
    letters.close()
    assert ids(path) == []
