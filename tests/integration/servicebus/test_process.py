"""The executable on its pipes, as the host sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.integration.servicebus.broker import FAST_RETRIES, WAIT_S, Broker, bodies, event


class Executable:
    """dstream-servicebus, with this test as its host."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def give(self, *lines: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(line + b"\n" for line in lines))
        self.process.stdin.flush()

    def next(self, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The next line of its stdout that `wanted` accepts."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            told = json.loads(line)
            if wanted(told):
                return dict(told)
        raise AssertionError(f"it exited with {self.process.wait()}")

    def ack(self) -> dict[str, Any]:
        return self.next(lambda told: told.get("dstream") == "ack")


@contextmanager
def executable(broker: Broker, queue: str) -> Iterator[Executable]:
    with subprocess.Popen(
        [sys.executable, "-m", "dstream_servicebus"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "DSTREAM_PROTOCOL": "1"},
    ) as process:
        run = Executable(process)
        hello = run.next(lambda told: True)
        assert (hello["dstream"], hello["role"], hello["name"]) == ("hello", "output", "servicebus")
        config = {"connection_string": broker.connection_string, "queue": queue, "retry": FAST_RETRIES}
        run.give(json.dumps({"command": "run", "config": config}).encode())
        run.next(lambda told: told.get("status") == "ready")
        yield run
        process.kill()


def checkpoint(seq: int, lines: Sequence[bytes]) -> bytes:
    return json.dumps({"dstream": "checkpoint", "seq": seq, "n": len(lines)}, separators=(",", ":")).encode()


def test_every_line_is_acknowledged_before_it_exits(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name())
    lines = [event(n) for n in range(2000)]

    with executable(calm, queue) as run:
        run.give(*lines[:1500], checkpoint(1, lines[:1500]), *lines[1500:], checkpoint(2, lines[1500:]))
        run.give(b'{"dstream":"stop","deadline_ms":5000}')
        settled = 0
        while settled < len(lines):
            settled += run.ack()["n"]
        assert run.process.stdin is not None
        run.process.stdin.close()
        assert run.process.wait(WAIT_S) == 0

    assert bodies(calm.receive(queue, len(lines))) == lines


def test_nothing_is_acknowledged_before_the_broker_stores_it(stormy: Broker, new_name: Callable[[], str]) -> None:
    queue = stormy.create_queue(new_name())
    stormy.fault(kind="reject", condition="amqp:internal-error", times=3, entity=queue)

    with executable(stormy, queue) as run:
        run.give(event(1), checkpoint(1, [b""]))
        told: list[dict[str, Any]] = []
        run.next(lambda line: told.append(line) or line.get("dstream") == "ack")

    retries = [line for line in told if line.get("event") == "servicebus.retry"]
    assert len(retries) == 3
    assert told[-1] == {"dstream": "ack", "seq": 1, "n": 1}


def test_a_restart_after_a_kill_loses_and_repeats_nothing(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name(), requires_duplicate_detection=True)
    lines = [event(n) for n in range(6000)]
    marked = [line for start in range(0, 6000, 100) for line in _with_mark(start, lines)]

    with executable(calm, queue) as run:
        run.give(*marked[:4000])
        acknowledged = int(run.ack()["seq"]) * 100
        run.process.kill()
    with executable(calm, queue) as run:
        rest = lines[acknowledged:]
        run.give(*rest, checkpoint(1, rest))
        assert run.ack()["n"] == len(rest)

    assert bodies(calm.receive(queue, len(lines))) == lines


def _with_mark(start: int, lines: list[bytes]) -> list[bytes]:
    part = lines[start : start + 100]
    return [*part, checkpoint(start // 100 + 1, part)]
