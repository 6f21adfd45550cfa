"""A stream of 2,000 rows per second through random faults: nothing is lost, repeated or out of order, and the memory of
the provider stays flat.

`make soak` runs it for a minute and for half an hour, and two minutes against a throttled namespace. A failure prints
its seed.
"""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest
from azure.servicebus import ServiceBusClient, ServiceBusReceiveMode

from tests.integration.servicebus.broker import FAST_RETRIES, WAIT_S, Broker, event
from tests.integration.servicebus.fault_cells import FAULTS, Requests, every_cell
from tests.running import wait_until

ROWS_S = 2000
MIB = 1024 * 1024
GROWTH_MIB = 20
"""More than the noise of the allocator over half an hour, less than a leak of a byte per row."""

_WITHSTOOD = sorted({(cell.fault, cell.moment) for cell in every_cell() if cell.stops_with is None})


class Consumer:
    """Receives the rows of a queue on its own thread, and checks that each is the next one.

    A gap in the sequence numbers, which the broker assigns, would be a row that is stored but not received. Without
    keep_alive=0, a second thread of the SDK reads from the connection, too.
    """

    def __init__(self, broker: Broker, queue: str) -> None:
        self.received = 0
        self.unexpected: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(broker.connection_string, queue), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self, connection_string: str, queue: str) -> None:
        mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
        with (
            ServiceBusClient.from_connection_string(connection_string) as client,
            client.get_queue_receiver(queue, receive_mode=mode, prefetch_count=2000, keep_alive=0) as receiver,
        ):
            while not self._stop.is_set():
                for message in receiver.receive_messages(2000, max_wait_time=0.5):
                    if message.message_id != f"dbo.Cars/{self.received}":
                        self.unexpected.append(f"{message.message_id}, number {message.sequence_number}")
                    self.received += 1


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


def stream(process: subprocess.Popen[bytes], seconds: float, each_second: Callable[[], None]) -> int:
    """Write rows at the rate, and a checkpoint each second; return how many. After a stall, it catches up."""
    assert process.stdin
    started, written = time.monotonic(), 0
    for second in itertools.count(1):
        lines = [event(number) + b"\n" for number in range(written, second * ROWS_S)]
        written = second * ROWS_S
        process.stdin.write(b"".join(lines) + b'{"dstream":"checkpoint","seq":%d,"n":%d}\n' % (second, written))
        process.stdin.flush()
        each_second()
        if time.monotonic() - started >= seconds:
            return written
        time.sleep(max(0.0, started + second - time.monotonic()))  # the rate of the rows
    raise AssertionError


def endure(broker: Broker, queue: str, seconds: float, seed: int) -> list[float]:
    """Return the memory of the provider, in MiB, at each second."""
    chance = random.Random(seed)
    memory: list[float] = []
    struck: list[tuple[str, str]] = []
    wait = itertools.count()

    def disturb() -> None:
        memory.append(observed.memory_info().rss / MIB)
        if next(wait) % chance.randint(2, 5) == 0:
            fault, moment = chance.choice(_WITHSTOOD)
            requests: Requests = FAULTS[fault][moment]
            for request in requests:
                broker.fault(**{"times": 1, **request}, entity=queue)
            struck.append((fault, moment))

    broker.create_queue(queue, requires_duplicate_detection=True)
    consumer = Consumer(broker, queue)
    try:
        with provider(broker, queue, retry=FAST_RETRIES) as process:
            observed = psutil.Process(process.pid)
            written = stream(process, seconds, disturb)
            broker.clear_faults()
            wait_until(
                lambda: consumer.received >= written or consumer.unexpected, f"all rows, seed {seed}", 2 * WAIT_S
            )
            assert process.poll() is None
    finally:
        consumer.close()
    assert not consumer.unexpected, f"seed {seed}, after {struck[-3:]}: {consumer.unexpected[:3]}"
    assert consumer.received == written
    assert struck
    return memory


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_minute_of_random_faults_loses_and_repeats_nothing(stormy: Broker, new_name: Callable[[], str]) -> None:
    endure(stormy, new_name(), 60.0, random.SystemRandom().randrange(1 << 30))


@pytest.mark.soak
@pytest.mark.timeout(2400)
def test_half_an_hour_of_random_faults_loses_nothing_in_flat_memory(
    stormy: Broker, new_name: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    memory = endure(stormy, new_name(), 1800.0, random.SystemRandom().randrange(1 << 30))

    with capsys.disabled():
        shown = ", ".join(f"{each:.0f}" for each in memory[:: max(1, len(memory) // 10)])
        print(f"\nmemory of the provider over time: {shown} MiB")  # noqa: T201 - the soak's output
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
        feeding = threading.Thread(target=stream, args=(process, 120.0, lambda: None), daemon=True)
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
