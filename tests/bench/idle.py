"""Polls that find nothing, one after the other: what a task costs while nothing changes, with 1 table and with 500.

The tables of the two arms are in different servers, since a poll returns the watermarks of all tables of a database.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from dstream_mssql_cdc.provider import MssqlCdc
from dstream_mssql_cdc.stream.observer import Observer
from dstream_mssql_cdc.stream.reader import ChangeStream, PollPace
from dstream_mssql_cdc.stream.source import Poll

from dstream.sdk import RunOptions, Stop, Telemetry, decode_config
from tests.bench import source
from tests.bench.measure import Arm, Result, Sample, Watched, compare
from tests.running import Sandbox

POLLS = 200
TABLES = 500


def run() -> Result:
    with source.sandbox("--replay-reads") as small, source.sandbox("--replay-reads") as large:
        source.create(small, "Quiet")
        for number in range(TABLES):
            source.create(large, f"Quiet{number}")
        return compare(
            "idle polls, one round trip each",
            [Arm("1 table", _polling(small)), Arm(f"{TABLES} tables", _polling(large))],
            rounds=5,
        )


class _StopAfter(Observer):
    """Stops after the first poll, which is not measured, and `polls` more."""

    def __init__(self, polls: int) -> None:
        self.stop = Stop()
        self.started_s = 0.0
        self._left = polls + 1

    def idle(self, poll: Poll) -> None:
        self.started_s = self.started_s or time.perf_counter()
        self._left -= 1
        if not self._left:
            self.stop.set()


def _polling(sandbox: Sandbox) -> Callable[[], Sample]:
    config = {"db_connection_string": sandbox.env["MSSQL_CONNECTION_STRING"], "tables": ["*.*"]}

    def poll() -> Sample:
        running = sandbox.folder.running()
        assert running
        stand_in = Watched([running.sqlserver])
        one = MssqlCdc()
        one.config = decode_config({**config, "start_from": "latest"}, MssqlCdc.config_type())
        one.run, one.telemetry = RunOptions(), Telemetry(lambda line: None)
        one.start()
        assert one._server
        counter = _StopAfter(POLLS)
        stream = ChangeStream(one._server, one._start_state({}), one._builder, PollPace(0.0, 0.0), observer=counter)
        cpu_before, stand_in_before = time.process_time(), stand_in.cpu_s()
        for _ in stream.lines(counter.stop):
            pass
        wall_s = time.perf_counter() - counter.started_s
        one.close()
        cpu_s = time.process_time() - cpu_before
        return Sample(POLLS, wall_s, cpu_s, stand_in_cpu_s=stand_in.cpu_s() - stand_in_before)

    return poll
