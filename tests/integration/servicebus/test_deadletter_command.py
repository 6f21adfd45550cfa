"""`dstream deadletter` on real processes: what a run could not deliver is listed, replayed after failures, or purged."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.servicebus.broker import Broker, bodies
from tests.running import DStream, RunningCommand, wait_until

ARGUMENT_ERROR = "com.microsoft:argument-error"
TASK = """
task "t" {{
  input {{
    provider = "counter"
    config {{
      count    = {rows}
      interval = "0s"
    }}
  }}
  output {{
    provider = "servicebus"
    config {{
      connection_string = env("ASB")
      queue             = "{queue}"
      on_error {{
        oversize = "dead_letter"
        refused  = "dead_letter"
      }}
      dead_letter {{
        {place}
      }}
      retry {{
        server_busy_delay = "100ms"
      }}
    }}
  }}
}}
"""


def project(
    broker: Broker, folder: Path, queue: str, place: str = 'file = "rejected.jsonl"', rows: int = 20
) -> DStream:
    (folder / "dstream.hcl").write_text(TASK.format(rows=rows, queue=queue, place=place))
    return DStream(folder, {**os.environ, "ASB": broker.connection_string})


def row(n: int) -> bytes:
    return b'{"data":{"value":%d},"metadata":{"OperationType":"Insert"}}' % n


def id_of(n: int) -> str:
    return hashlib.sha256(row(n)).hexdigest()[:32]


def poison(broker: Broker, queue: str, *rows: int) -> None:
    for n in rows:
        broker.fault(kind="reject", condition=ARGUMENT_ERROR, entity=queue, message_id=id_of(n))


def listed(dstream: DStream) -> list[dict[str, Any]]:
    done = dstream("deadletter", "list", "t", "--json")
    assert done.returncode == 0, done.stderr
    letters: list[dict[str, Any]] = json.loads(done.stdout)["dead_letters"]
    return letters


def kill(command: RunningCommand) -> None:
    """Kill the host; its provider dies with it."""
    (provider,) = command.children()
    command.process.kill()
    command.ended()
    wait_until(lambda: not provider.is_running(), "the provider is gone")


def test_a_poisoned_row_is_kept_the_stream_goes_on_and_a_replay_killed_twice_delivers_it(
    stormy: Broker, new_name: Callable[[], str], tmp_path: Path
) -> None:
    queue = stormy.create_queue(new_name(), requires_duplicate_detection=True)
    dstream = project(stormy, tmp_path, queue)
    poison(stormy, queue, 5, 6, 13)

    done = dstream("run", "t", "--json")

    assert done.returncode == 0, done.stderr
    assert (json.loads(done.stdout)["rows"], json.loads(done.stdout)["rows_rejected"]) == (20, 3)
    assert bodies(stormy.receive(queue, 17)) == [row(n) for n in range(1, 21) if n not in (5, 6, 13)]
    letters = listed(dstream)
    assert [(each["reason"], each["entity"], each["id"]) for each in letters] == [
        ("refused", queue, id_of(n)) for n in (5, 6, 13)
    ]
    assert ARGUMENT_ERROR in letters[0]["detail"]

    stormy.clear_faults()
    stored = stormy.counters()["messages"]
    stormy.fault(kind="silence", entity=queue)
    with dstream.running("deadletter", "replay", "t") as stored_but_not_answered:
        wait_until(lambda: stormy.counters()["messages"] >= stored + 3, "the broker has the rows")
        kill(stored_but_not_answered)
    assert len(listed(dstream)) == 3

    stormy.clear_faults()
    refused = stormy.counters()["rejected"]
    stormy.fault(kind="reject", entity=queue)
    with dstream.running("deadletter", "replay", "t") as not_stored:
        wait_until(lambda: stormy.counters()["rejected"] > refused, "the broker is busy")
        kill(not_stored)
    assert len(listed(dstream)) == 3

    stormy.clear_faults()
    done = dstream("deadletter", "replay", "t")
    assert (done.returncode, done.stdout) == (0, "Delivered 3 rows.\n"), done.stderr
    messages = stormy.receive(queue, 3)
    assert bodies(messages) == [row(n) for n in (5, 6, 13)]
    assert [message.message_id for message in messages] == [id_of(n) for n in (5, 6, 13)]
    assert dstream("deadletter", "list", "t").stdout == "t has no dead letters.\n"


def test_a_row_that_is_refused_again_stays_and_the_others_are_delivered(
    stormy: Broker, new_name: Callable[[], str], tmp_path: Path
) -> None:
    queue = stormy.create_queue(new_name())
    dstream = project(stormy, tmp_path, queue)
    poison(stormy, queue, 3, 4, 9)
    dstream("run", "t")
    stormy.clear_faults()
    poison(stormy, queue, 4)

    done = dstream("deadletter", "replay", "t", "--only", "1", "--only", id_of(4))

    assert done.returncode == 1
    assert done.stdout == "Delivered 1 row.\n"
    assert "[deadletter.rejected_again]" in done.stderr
    assert [each["id"] for each in listed(dstream)] == [id_of(4), id_of(9)]
    assert bodies(stormy.receive(queue, 18))[-1] == row(3)

    assert dstream("deadletter", "show", "t", id_of(9)).stdout.encode() == row(9) + b"\n"
    assert json.loads(dstream("deadletter", "show", "t", "1", "--json").stdout)["event"] == json.loads(row(4))
    assert dstream("deadletter", "purge", "t", "--only", "2").returncode == 3  # no terminal and no --yes
    assert dstream("deadletter", "purge", "t", "--only", "2", "--yes").stdout == "Deleted 1 row.\n"
    assert [each["id"] for each in listed(dstream)] == [id_of(4)]
    assert dstream("deadletter", "show", "t", "7").returncode == 3


@pytest.mark.parametrize("interrupts", [1, 2])
def test_an_interrupted_replay_keeps_what_it_has_not_delivered(
    stormy: Broker, new_name: Callable[[], str], tmp_path: Path, interrupts: int
) -> None:
    queue = stormy.create_queue(new_name())
    dstream = project(stormy, tmp_path, queue)
    poison(stormy, queue, 2)
    dstream("run", "t")
    stormy.clear_faults()
    refused = stormy.counters()["rejected"]
    stormy.fault(kind="reject", entity=queue)

    with dstream.running("deadletter", "replay", "t") as replay:
        wait_until(lambda: stormy.counters()["rejected"] > refused, "the broker is busy")
        replay.process.send_signal(signal.SIGINT)
        replay.says("Stopping after the rows under way.")
        if interrupts == 2:
            replay.process.send_signal(signal.SIGINT)
        else:
            stormy.clear_faults()
        assert replay.ended() == 128 + signal.SIGINT

    assert len(listed(dstream)) == (1 if interrupts == 2 else 0)


def test_dead_letters_in_a_queue_are_listed_replayed_and_purged(
    stormy: Broker, new_name: Callable[[], str], tmp_path: Path
) -> None:
    queue, rejected = stormy.create_queue(new_name()), stormy.create_queue(new_name())
    dstream = project(stormy, tmp_path, queue, f'queue = "{rejected}"')
    poison(stormy, queue, 3, 4, 9)
    assert dstream("run", "t").returncode == 0
    assert bodies(stormy.receive(queue, 17))[:3] == [row(1), row(2), row(5)]
    assert [(each["reason"], each["entity"], each["id"]) for each in listed(dstream)] == [
        ("refused", queue, id_of(n)) for n in (3, 4, 9)
    ]
    assert dstream("deadletter", "show", "t", id_of(9)).stdout.encode() == row(9) + b"\n"
    refused = dstream("deadletter", "replay", "t", "--only", "2")
    assert (refused.returncode, "[servicebus.not_the_oldest]" in refused.stderr) == (3, True)

    stormy.clear_faults()
    poison(stormy, queue, 4)
    dstream.env = {**dstream.env, "DSTREAM_AUDIT_FILE": str(tmp_path / "audit.jsonl")}
    assert dstream("deadletter", "replay", "t").returncode == 1

    messages = stormy.receive(queue, 2)
    assert [(str(m.message_id), bodies([m])) for m in messages] == [(id_of(n), [row(n)]) for n in (3, 9)]
    assert [each["id"] for each in listed(dstream)] == [id_of(4)]
    assert dstream("deadletter", "purge", "t", "--yes").stdout == "Deleted 1 row.\n"
    assert listed(dstream) == []
    audited = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [(each["command"], each["phase"], each.get("details", {})) for each in audited] == [
        ("deadletter replay", "intent", {"rows": 3}),
        ("deadletter replay", "result", {"delivered": 2, "rejected": 1}),
        ("deadletter purge", "intent", {"rows": 1}),
        ("deadletter purge", "result", {}),
    ]
