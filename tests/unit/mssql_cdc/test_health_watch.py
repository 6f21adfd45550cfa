from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from dstream_mssql_cdc.errors import ReadInterrupted
from dstream_mssql_cdc.health import statements
from dstream_mssql_cdc.health.watch import HealthWatch
from dstream_mssql_cdc.position import Position
from dstream_mssql_cdc.provider import MssqlCdc
from dstream_mssql_cdc.state import Database, ReaderState, stored_position

from dstream.sdk import Telemetry
from dstream.sdk.errors import AuthError

NOW = datetime(2026, 1, 2, 3)
STATE = ReaderState(Database("g"), stored_position(Position.end_of(b"\0" * 9 + b"\x07")), None, {}).stored()


class Server:
    """A server with a retention of four hours. `unread_h`: the age of the oldest unread change."""

    def __init__(self) -> None:
        self.unread_h: float | None = None
        self.errors: list[tuple[datetime, int, str]] = []
        self.denied: set[str] = set()
        self.is_down = False
        self.asked: list[str] = []
        self.lsns: list[object] = []
        self.is_closed = False
        self.updateability = "READ_WRITE"

    def rows(self, statement: str, *parameters: object) -> Sequence[Any]:
        self.asked.append(statement)
        self.lsns += parameters
        if self.is_down:
            raise ReadInterrupted("mssql.interrupted", "the link is down")
        if statement in self.denied:
            raise AuthError("mssql.no_grant", "denied")
        answers: dict[str, Sequence[Any]] = {
            statements.PLATFORM: [(3, "16.0.1", "Developer", "ann", "ann", "Shop", None, self.updateability)],
            statements.RETENTION: [(240,)],
            statements.OLDEST_UNREAD: [] if self.unread_h is None else [(NOW - timedelta(hours=self.unread_h), NOW)],
            statements.LATENCY: [(7,)],
            statements.ERRORS: self.errors,
        }
        return answers[statement]

    def close(self) -> None:
        self.is_closed = True


class Watched:
    """A watch, and what it has reported."""

    def __init__(self, server: Server) -> None:
        self.connections = 0
        self.lines: list[dict[str, Any]] = []
        self.reported = threading.Event()

        def connect() -> Server:
            self.connections += 1
            return server

        self.watch = HealthWatch(connect, Telemetry(self._receive), STATE)

    def _receive(self, line: bytes) -> None:
        self.lines.append(json.loads(line))
        if self.lines[-1].get("name") == "capture_errors":
            self.reported.set()

    def look(self) -> tuple[dict[str, float], list[str]]:
        """Look once; return the metrics and the log events."""
        self.lines.clear()
        self.watch.look()
        metrics = {line["name"]: line["value"] for line in self.lines if line["dstream"] == "metric"}
        return metrics, [line["event"] for line in self.lines if line["dstream"] == "log"]


def test_the_metrics_are_measured_from_the_stored_checkpoint() -> None:
    server = Server()
    server.unread_h = 1
    watched = Watched(server)
    assert watched.look() == (
        {"time_to_loss_seconds": 3 * 3600, "capture_latency_seconds": 7, "capture_errors": 0},
        [],
    )
    assert server.lsns == [b"\0" * 9 + b"\x08"]
    watched.watch.stored = ReaderState(
        Database("g"), stored_position(Position.end_of(b"\0" * 9 + b"\x0f")), None, {}
    ).stored()
    server.unread_h = None
    assert watched.look()[0]["time_to_loss_seconds"] == 4 * 3600
    assert server.lsns[-1] == b"\0" * 9 + b"\x10"


def test_the_checkpoint_that_the_host_has_stored_last_is_watched() -> None:
    provider = MssqlCdc()
    provider.acknowledged(STATE)  # before the watch begins
    watched = Watched(Server())
    provider._watch = watched.watch
    provider.acknowledged({"v": 1})
    assert watched.watch.stored == {"v": 1}


def test_a_short_time_to_loss_is_reported_once_and_so_is_its_recovery() -> None:
    server = Server()
    watched = Watched(server)
    events = []
    for server.unread_h in (2.9, 3.1, 3.5, 5.0, 1.0, 0.5, 3.2):
        _, logged = watched.look()
        events.append(logged)
    assert events == [[], ["mssql.time_to_loss"], [], [], ["mssql.time_to_loss_recovered"], [], ["mssql.time_to_loss"]]
    warning = watched.lines[1]
    assert (warning["left"], warning["retention"]) == ("48 min", "4 h")
    assert "@retention = 480;" in warning["hint"]
    server.unread_h = 5.0
    assert watched.look()[0]["time_to_loss_seconds"] == 0


def test_a_capture_error_is_reported_once() -> None:
    server = Server()
    watched = Watched(server)
    server.errors = [(NOW, 1105, "The filegroup is full.")]
    assert watched.look()[1] == ["mssql.capture_error"]
    assert (watched.lines[-1]["number"], watched.lines[-1]["reason"]) == (1105, "The filegroup is full.")
    assert watched.look()[1] == []
    server.errors.append((NOW + timedelta(seconds=5), 1205, "Deadlock."))
    metrics, events = watched.look()
    assert (metrics["capture_errors"], events) == (2, ["mssql.capture_error"])


def test_what_the_login_may_not_see_is_left_out_and_not_asked_for_again() -> None:
    server = Server()
    server.denied = {statements.RETENTION, statements.ERRORS}
    watched = Watched(server)
    assert watched.look() == ({"capture_latency_seconds": 7}, [])
    server.asked.clear()
    watched.look()
    assert server.asked == [statements.LATENCY]


def test_a_secondary_is_asked_for_the_time_to_loss_only() -> None:
    server = Server()
    server.updateability = "READ_ONLY"
    assert Watched(server).look() == ({"time_to_loss_seconds": 4 * 3600}, [])


def test_after_a_lost_connection_the_next_look_connects_again() -> None:
    server = Server()
    watched = Watched(server)
    watched.look()
    server.is_down = True
    assert watched.look() == ({}, ["mssql.health_unknown"])
    assert server.is_closed
    server.is_down = False
    assert len(watched.look()[0]) == 3
    assert watched.connections == 2


def test_the_thread_looks_at_once_and_closes_its_connection_when_it_stops() -> None:
    server = Server()
    watched = Watched(server)
    watched.watch.start()
    assert watched.reported.wait(60)
    watched.watch.stop()
    assert server.is_closed
