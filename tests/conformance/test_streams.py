"""Plays recorded protocol streams (streams/*.jsonl) against the host, with a well-behaved provider on the other side.

The first line of a file describes the stream:

    what    what the stream shows
    role    the role that the player takes: input or output
    expect  {"drained": true} or {"code": "...", "says": "..."}; "rows": the number of rows that must reach the sink (on
            success, exactly these); "state": the state that must be stored, or null

Each further line is one step of the player:

    line    write a line
    row     write a line of data
    part    write text without a newline
    hex     write bytes; with row_hex they are a row
    fill    write a text, repeated `times` times
    wait    wait for a line from the host with these fields, or for "eof"
    exit    exit with this code; the default is to exit with 0 after the last step
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dstream.errors import DStreamError
from tests.conformance.runs import Recorded, job, provider, run, script, stored_state
from tests.conformance.test_failures import living_children

STREAMS = sorted((Path(__file__).parent / "streams").glob("*.jsonl"))
MAX_LINE = 100_000


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.stem)
def test_a_recorded_stream_ends_as_expected(stream: Path, tmp_path: Path) -> None:
    head, *steps = [json.loads(line) for line in stream.read_text().splitlines()]
    expected = head["expect"]
    played = replace(provider(f"{head['role']}.py", 3), argv=script("player.py", str(stream)), label="player")
    task = job(tmp_path, max_line=MAX_LINE)
    if head["role"] == "input":
        task = replace(task, input=played)
    else:
        task = replace(task, input=provider("input.py", 3, rows=10, every=5), output=played)
    events = Recorded()
    if "code" in expected:
        with pytest.raises(DStreamError) as caught:
            run(task, events)
        assert (caught.value.code, expected["says"] in caught.value.message) == (expected["code"], True), caught.value
    else:
        assert run(task, events).drained is expected["drained"]
    document = stored_state(tmp_path)
    assert (document and document["state"]) == expected["state"]
    if head["role"] == "input":
        check_sink(tmp_path / "sink", steps, expected)
    assert not living_children()


def check_sink(sink: Path, steps: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    """The sink has the played rows, byte for byte and in order. After a failure, unacknowledged rows may be missing."""
    played = [
        bytes.fromhex(step["row_hex"]) if "row_hex" in step else step["row"].encode()
        for step in steps
        if "row" in step or "row_hex" in step
    ]
    arrived = sink.read_bytes().split(b"\n")[:-1] if sink.exists() else []
    assert arrived == played[: len(arrived)]
    assert len(arrived) >= expected["rows"]
    if "drained" in expected:
        assert len(arrived) == len(played) == expected["rows"]


def test_every_recording_is_found_and_unique() -> None:
    assert len(STREAMS) >= 30
    assert len({stream.read_text() for stream in STREAMS}) == len(STREAMS)
