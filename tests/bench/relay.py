"""What the relay costs against a bare copy loop: one source and sink, arms interleaved, medians, an A/A control.

Run: python -m tests.bench.relay [rounds]
"""

from __future__ import annotations

import json
import os
import queue
import resource
import statistics
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from dstream.host.checkpoints import Checkpoints
from dstream.host.job import Job, ProviderSpec
from dstream.host.process import _enlarge
from dstream.host.relay import Relay
from dstream.host.report import Report
from dstream.protocol.messages import Ack, Checkpoint, encode
from dstream.redact import Redactor

LINE_BYTES = 450
LINES_A_CHECKPOINT = 1000
CHECKPOINTS = 2000
_CHUNK = 1024 * 1024


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    arms = {"copy": copy, "relay": relay, "copy again": copy}
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, arm in arms.items():
            figures[name].append(measure(arm))
    base = statistics.median(wall for wall, _ in figures["copy"])
    lines = LINES_A_CHECKPOINT * CHECKPOINTS
    result = {}
    for name, values in figures.items():
        walls = sorted(wall for wall, _ in values)
        wall, cpu = statistics.median(walls), statistics.median(cpu for _, cpu in values)
        result[name] = {
            "lines_s": round(lines / wall),
            "mb_s": round(lines * LINE_BYTES / wall / 1e6),
            "cpu_us_a_line": round(cpu / lines * 1e6, 3),
            "of_copy": round(base / wall, 3),
            "spread": f"{walls[0]:.2f}-{walls[-1]:.2f} s",
        }
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


def measure(arm: Any) -> tuple[float, float]:
    """Wall and the middle process's CPU seconds for one pass of all lines."""
    source, sink = os.pipe(), os.pipe()
    for pipe in (*source, *sink):
        _enlarge(pipe)
    if not os.fork():
        write_lines(source[1], (source[0], *sink))
    reader = os.fork()
    if not reader:
        read_lines(sink[0], (*source, sink[1]))
    os.close(source[1])
    os.close(sink[0])
    before, start = cpu_s(), time.perf_counter()
    arm(source[0], sink[1])
    _, status = os.waitpid(reader, 0)
    wall, cpu = time.perf_counter() - start, cpu_s() - before
    os.wait()
    assert status == 0, "the sink did not get every data line"
    os.close(source[0])
    return wall, cpu


def copy(source: int, sink: int) -> None:
    while data := os.read(source, _CHUNK):
        view = memoryview(data)
        while view:
            view = view[os.write(sink, view) :]
    os.close(sink)


def relay(source: int, sink: int) -> None:
    spec = ProviderSpec(argv=[], config={}, label="bench")
    job = Job(task="bench", run_id="", input=spec, output=spec, state_dir=Path())
    checkpoints = Checkpoints(lambda settled: None, lambda settled: None, lambda error: None)
    checkpoints.start()
    process = SimpleNamespace(stdout=os.fdopen(source, "rb", buffering=0, closefd=False))
    silent = SimpleNamespace(log=lambda *a, **k: None, progress=lambda p: None)
    report = Report("bench", cast(Any, silent), Redactor())
    reader = Relay(job, spec, cast(Any, process), report, queue.SimpleQueue(), time.monotonic)
    reader.handshake.is_ready = True
    output = os.fdopen(sink, "wb", buffering=0)
    reader.attach(output, checkpoints)
    acks = threading.Thread(target=acknowledge, args=(checkpoints,))
    acks.start()
    reader.run()
    acks.join()
    output.close()
    checkpoints.finish()


def acknowledge(checkpoints: Checkpoints) -> None:
    """An ack every 100 checkpoints, about as often as an output that batches."""
    acked = 0
    while acked < CHECKPOINTS:
        if checkpoints.counts.in_flight >= 100:
            acked += 100
            checkpoints.acknowledged(Ack(acked, 100 * LINES_A_CHECKPOINT))
        else:
            time.sleep(0.01)


def write_lines(descriptor: int, others: tuple[int, ...]) -> None:
    for other in others:
        os.close(other)
    line = b'{"data":{"Id":1234567,"Name":"' + b"Contoso Ltd. " * 29 + b'"},"metadata":{}}'
    line = line[:LINE_BYTES].ljust(LINE_BYTES - 1) + b"\n"
    block = line * LINES_A_CHECKPOINT
    for seq in range(1, CHECKPOINTS + 1):
        checkpoint = encode(Checkpoint(seq, LINES_A_CHECKPOINT, msgspec.Raw(b'{"lsn":"0000002a:00000180:0022"}')))
        view = memoryview(block + checkpoint)
        while view:
            view = view[os.write(descriptor, view) :]
    os._exit(0)


def read_lines(descriptor: int, others: tuple[int, ...]) -> None:
    for other in others:
        os.close(other)
    count = 0
    while data := os.read(descriptor, _CHUNK):
        count += len(data)
    os._exit(0 if count >= LINE_BYTES * LINES_A_CHECKPOINT * CHECKPOINTS else 1)


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
