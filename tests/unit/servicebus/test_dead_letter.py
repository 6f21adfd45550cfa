from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from dstream_servicebus.publish.dead_letter import DeadLetterFile, Rejected

from dstream.errors import SystemFault

REJECTED = Rejected("oversize", "q", "id-1", 300, 200, msgspec.Raw(b'{"data":{"a":1}}'))


def test_each_event_is_one_line_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "rejected.jsonl"
    for _ in range(2):
        DeadLetterFile(str(path)).add(REJECTED)

    lines = path.read_text().splitlines()

    assert len(lines) == 2
    assert json.loads(lines[0]) == {
        "reason": "oversize",
        "entity": "q",
        "message_id": "id-1",
        "size": 300,
        "limit": 200,
        "event": {"data": {"a": 1}},
    }
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_unwritable_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(SystemFault, match="no/such") as caught:
        DeadLetterFile(str(tmp_path / "no/such/file")).add(REJECTED)

    assert caught.value.code == "servicebus.dead_letter_failed"
