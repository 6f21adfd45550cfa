"""A stream of rows through random faults: none is lost or out of order, and the memory of the provider stays flat.

The suite runs it for seconds, in sessions; `make soak` for a minute without duplicate detection, for half an hour, and
two minutes against a throttled namespace. A failure prints its seed.

A fault refuses one transfer, whatever it contains. If it contains one row, the row is at fault as far as the provider
can know, and is kept as a dead letter. So each row is in the queue, in order, or in the dead-letter file.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from azure.servicebus import ServiceBusClient, ServiceBusReceiveMode

from tests.integration.servicebus.broker import FAST_RETRIES, WAIT_S, Broker, event
from tests.integration.servicebus.fault_cells import FAULTS, every_cell
from tests.running import wait_until

ROWS_S = 2000
TICKS_S = 10
"""Every other tick writes a single row, which is then sent alone, unless it has to wait for a fault."""
SOAK_S = float(os.environ.get("SOAK_SECONDS", "1800"))
MIB = 1024 * 1024
GROWTH_MIB = 20
"""More than the noise of the allocator over half an hour, less than a leak of a byte per row."""

ONE_TABLE = ("dbo.Cars",)
THREE_TABLES = ("dbo.Cars", "dbo.Vans", "dbo.Bikes")
"""Row n is in table n modulo 3. Each table has its session."""

_WITHSTOOD = sorted({(cell.fault, cell.moment) for cell in every_cell() if cell.stops_with is None})


class Consumer:
    """Receives the rows of a queue or a session on its own thread, and says which did not come in order.

    With a keep-alive thread, azure-servicebus 7.15 hands messages over in another order now and then: two threads read
    frames from the connection, and put them into one queue after they have released the lock of the socket.
    """

    def __init__(self, broker: Broker, queue: str, session: str | None, first: int, step: int) -> None:
        self.due = first
        """The number of the next row."""
        self._step = step
        self.skipped: set[int] = set()
        self.repeats = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(broker.connection_string, queue, session), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self, connection_string: str, queue: str, session: str | None) -> None:
        mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
        options: dict[str, Any] = {"receive_mode": mode, "prefetch_count": 2000, "keep_alive": 0}
        with (
            ServiceBusClient.from_connection_string(connection_string) as client,
            client.get_queue_receiver(queue, session_id=session, **options) as receiver,
        ):
            while not self._stop.is_set():
                for message in receiver.receive_messages(2000, max_wait_time=0.5):
                    self._take(number_of(str(message.message_id)))

    def _take(self, number: int) -> None:
        if number < self.due:
            self.repeats += 1
            return
        self.skipped.update(range(self.due, number, self._step))
        self.due = number + self._step


def number_of(message_id: str) -> int:
    return int(message_id.rpartition("/")[2])


@contextmanager
def provider(broker: Broker, queue: str, **settings: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The output provider as its own process, ready for rows."""
    config = {"connection_string": broker.connection_string, "queue": queue, **settings}
    with subprocess.Popen(
        [sys.executable, "-m", "dstream_servicebus"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": "", "DSTREAM_PROTOCOL": "1"},
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps({"command": "run", "config": config}).encode() + b"\n")
        process.stdin.flush()
        next(line for line in process.stdout if json.loads(line).get("status") == "ready")
        said: list[bytes] = []
        threading.Thread(target=said.extend, args=(process.stdout,), daemon=True).start()
        try:
            yield process
        except BrokenPipeError as error:
            process.wait()
            raise AssertionError(f"the provider ended: {[line for line in said if b'error' in line][-1:]}") from error
        finally:
            process.kill()
            with suppress(BrokenPipeError):  # rows that the provider did not read
                process.stdin.close()


def stream(
    process: subprocess.Popen[bytes],
    tables: Sequence[str],
    rows_s: int,
    seconds: float,
    each_second: Callable[[], None],
) -> int:
    """Write rows at the rate, and a checkpoint each second; return how many. After a stall, it catches up."""
    started, written = time.monotonic(), 0
    for tick in itertools.count(1):
        rows = 1 if tick % 2 else 2 * rows_s // TICKS_S - 1
        written = write(process, tables, written, rows)
        if tick % TICKS_S == 0:
            checkpoint(process, written)
            each_second()
        if time.monotonic() - started >= seconds:
            checkpoint(process, written)
            return written
        time.sleep(max(0.0, started + tick / TICKS_S - time.monotonic()))  # the rate of the rows
    raise AssertionError


def write(process: subprocess.Popen[bytes], tables: Sequence[str], first: int, rows: int) -> int:
    assert process.stdin
    numbers = range(first, first + rows)
    process.stdin.write(b"".join(event(number, tables[number % len(tables)]) + b"\n" for number in numbers))
    process.stdin.flush()
    return first + rows


def checkpoint(process: subprocess.Popen[bytes], written: int) -> None:
    assert process.stdin
    process.stdin.write(b'{"dstream":"checkpoint","seq":%d,"n":%d}\n' % (written, written))
    process.stdin.flush()


@dataclass
class Endured:
    """What a stream came through."""

    rows: int
    dead_letters: int
    repeats: int
    resent: int
    faults: int
    memory_mib: list[float]
    """Of the provider, at each second."""


def endure(
    broker: Broker,
    queue: str,
    folder: Path,
    tables: Sequence[str],
    *,
    rows_s: int,
    seconds: float,
    detects_duplicates: bool,
) -> Endured:
    seed = random.SystemRandom().randrange(1 << 30)
    chance = random.Random(seed)
    memory: list[float] = []
    struck: list[tuple[str, str]] = []
    dead_letters = folder / "dead.jsonl"

    def disturb() -> None:
        memory.append(observed.memory_info().rss / MIB)
        if not struck or chance.random() < 0.4:
            fault, moment = chance.choice(_WITHSTOOD)
            for request in FAULTS[fault][moment]:
                broker.fault(**{"times": 1, **request}, entity=queue)
            struck.append((fault, moment))

    has_sessions = len(tables) > 1
    broker.create_queue(
        queue, requires_session=has_sessions, requires_duplicate_detection=detects_duplicates, lock_duration="PT5M"
    )
    consumers = [
        Consumer(broker, queue, table if has_sessions else None, first, len(tables))
        for first, table in enumerate(tables)
    ]
    before = broker.counters()["messages"]
    try:
        with provider(
            broker,
            queue,
            session="table" if has_sessions else "none",
            retry=FAST_RETRIES,
            on_error={"oversize": "dead_letter", "refused": "dead_letter"},
            dead_letter={"file": str(dead_letters), "max_rows": 1_000_000},
        ) as process:
            observed = psutil.Process(process.pid)
            written = stream(process, tables, rows_s, seconds, disturb)
            broker.clear_faults()
            last = write(process, tables, written, len(tables))
            checkpoint(process, last)
            wait_until(
                lambda: all(each.due >= last for each in consumers) or process.poll() is not None,
                f"all rows, seed {seed}",
                2 * WAIT_S,
            )
            if process.poll() is not None:
                raise BrokenPipeError
    finally:
        for consumer in consumers:
            consumer.close()
    skipped = {number for each in consumers for number in each.skipped}
    repeats = sum(each.repeats for each in consumers)
    kept = {number_of(json.loads(line)["message_id"]) for line in _lines(dead_letters)}
    where = f"seed {seed}, {len(struck)} faults, the last ones {struck[-3:]}"
    assert sorted(skipped - kept)[:3] == [], f"lost or out of order: {where}"
    assert not (repeats and detects_duplicates), f"{repeats} rows repeated: {where}"
    assert struck
    stored = broker.counters()["messages"] - before
    resent = int(stored) + len(skipped) - last
    return Endured(last, len(kept), repeats, resent, len(struck), memory)


def _lines(file: Path) -> list[bytes]:
    return file.read_bytes().splitlines() if file.exists() else []


@pytest.mark.timeout(300)
def test_seconds_of_random_faults_lose_nothing(stormy: Broker, new_name: Callable[[], str], tmp_path: Path) -> None:
    endure(stormy, new_name(), tmp_path, THREE_TABLES, rows_s=200, seconds=10.0, detects_duplicates=True)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("tables", [ONE_TABLE, THREE_TABLES], ids=["queue", "sessions"])
def test_a_minute_of_random_faults_loses_nothing_without_duplicate_detection(
    stormy: Broker, new_name: Callable[[], str], tmp_path: Path, tables: Sequence[str]
) -> None:
    endure(stormy, new_name(), tmp_path, tables, rows_s=ROWS_S, seconds=60.0, detects_duplicates=False)


@pytest.mark.soak
@pytest.mark.timeout(2400)
def test_half_an_hour_of_random_faults_loses_nothing_in_flat_memory(
    stormy: Broker, new_name: Callable[[], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    endured = endure(stormy, new_name(), tmp_path, ONE_TABLE, rows_s=ROWS_S, seconds=SOAK_S, detects_duplicates=True)

    memory = endured.memory_mib
    with capsys.disabled():
        shown = ", ".join(f"{each:.0f}" for each in memory[:: max(1, len(memory) // 10)])
        print(f"\n{endured.rows:,} rows, {endured.faults} faults, {endured.dead_letters} dead letters, ", end="")  # noqa: T201 - the soak's output
        print(f"{endured.resent:,} sent again; memory of the provider over time: {shown} MiB")  # noqa: T201
    quarter = len(memory) // 4
    assert max(memory[3 * quarter :]) < max(memory[quarter : 2 * quarter]) + GROWTH_MIB


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_throttled_namespace_is_mostly_used_and_seldom_refuses(
    stormy: Broker, new_name: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    queue, credits_s = stormy.create_queue(new_name()), 1000
    stormy.fault(kind="throttle", rate=credits_s, entity=queue)
    measured: list[tuple[float, dict[str, float]]] = []

    with provider(stormy, queue) as process:
        feeding = threading.Thread(target=stream, args=(process, ONE_TABLE, ROWS_S, 120.0, lambda: None), daemon=True)
        feeding.start()
        for _ in range(2):
            time.sleep(60.0)  # the first minute is for learning the rate
            measured.append((time.monotonic(), stormy.counters()))
    (start_s, before), (end_s, after) = measured
    used = (after["messages"] - before["messages"]) / (end_s - start_s) / credits_s
    refused = after["rejected"] - before["rejected"]

    with capsys.disabled():
        print(f"\n{used:.1%} of the credits used, {refused:.0f} refusals in a minute")  # noqa: T201
    assert used >= 0.6  # test_send_rate.py shows more, without the noise of a busy machine
    assert refused <= 5
