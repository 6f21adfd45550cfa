from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dstream_servicebus.publish.dead_letter_file import DeadLetterFile, parse
from dstream_servicebus.publish.rejected import Rejected, rejected

from dstream.errors import LockedError, SystemFault

NOW = datetime(2026, 11, 30, 9, 12, 4, 120_000, tzinfo=UTC)


def record(n: int = 1, row: bytes = b'{"data":{"a": 1}}') -> Rejected:
    return rejected("oversize", "it is too large", "q", f"id-{n}", row, 300, 200, NOW)


def ids(file: DeadLetterFile) -> list[str | None]:
    return [found.message_id if (found := parse(line)) else None for line in file.lines()]


def test_each_row_is_one_line_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "rejected.jsonl"
    for _ in range(2):
        DeadLetterFile(str(path)).add(record())

    lines = path.read_text().splitlines()

    assert len(lines) == 2
    assert json.loads(lines[0]) == {
        "reason": "oversize",
        "entity": "q",
        "message_id": "id-1",
        "size": 300,
        "limit": 200,
        "time": "2026-11-30T09:12:04.120Z",
        "detail": "it is too large",
        "event": {"data": {"a": 1}},
    }
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "row", [b'{"data":{"a": 1.50}}', b"no json", b'{"a":"\xff"}', b'{"a":1} ', b"[" * 5000, "\u00e4".encode()]
)
def test_a_row_is_kept_byte_for_byte(tmp_path: Path, row: bytes) -> None:
    file = DeadLetterFile(str(tmp_path / "rejected.jsonl"))
    file.add(record(row=row))

    (line,) = file.lines()
    found = parse(line)

    assert found is not None
    assert found.row == row


def test_an_unwritable_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    file = DeadLetterFile(str(tmp_path / "no/such/file"))
    for use in (file.check, lambda: file.add(record())):
        with pytest.raises(SystemFault, match="no/such") as caught:
            use()
        assert caught.value.code == "servicebus.dead_letter_failed"


def test_a_line_that_a_crash_has_cut_off_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "rejected.jsonl"
    file = DeadLetterFile(str(path))
    file.add(record(1))
    path.write_bytes(path.read_bytes() + b'{"reason":"over')

    file.add(record(2))

    assert ids(file) == ["id-1", None, "id-2"]


def test_only_the_removed_lines_are_gone(tmp_path: Path) -> None:
    file = DeadLetterFile(str(tmp_path / "rejected.jsonl"))
    for n in range(5):
        file.add(record(n))

    with file.exclusive():
        file.remove({0, 3})

    assert ids(file) == ["id-1", "id-2", "id-4"]
    assert os.listdir(tmp_path) == ["rejected.jsonl", "rejected.jsonl.lock"]


def test_rows_added_while_others_are_removed_are_kept(tmp_path: Path) -> None:
    path = str(tmp_path / "rejected.jsonl")
    for n in range(50):
        DeadLetterFile(path).add(record(n))
    adding = threading.Thread(target=lambda: [DeadLetterFile(path).add(record(n)) for n in range(50, 150)])
    adding.start()

    for _ in range(50):
        with DeadLetterFile(path).exclusive():
            DeadLetterFile(path).remove({0})

    adding.join()
    assert ids(DeadLetterFile(path)) == [f"id-{n}" for n in range(50, 150)]


def test_two_commands_never_remove_at_the_same_time(tmp_path: Path) -> None:
    path = str(tmp_path / "rejected.jsonl")
    with DeadLetterFile(path).exclusive(), pytest.raises(LockedError), DeadLetterFile(path).exclusive():
        pass
    with DeadLetterFile(path).exclusive():
        pass


def test_a_planted_link_is_refused_and_its_target_kept(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path = tmp_path / "dead.jsonl"
    for name in ("dead.jsonl.lock", "dead.jsonl"):
        (tmp_path / name).symlink_to(victim)
    file = DeadLetterFile(str(path))
    for action in (file.check, lambda: file.add(record()), file.lines, lambda: file.exclusive().__enter__()):
        with pytest.raises(SystemFault, match="it is a symbolic link"):
            action()
    assert victim.read_text() == "precious"


def test_removing_lines_never_writes_to_a_name_that_can_be_guessed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "dead.jsonl.tmp").symlink_to(victim)
    file = DeadLetterFile(str(tmp_path / "dead.jsonl"))
    file.add(record(1))
    file.add(record(2))
    file.remove([0])
    assert len(file.lines()) == 1
    assert victim.read_text() == "precious"
