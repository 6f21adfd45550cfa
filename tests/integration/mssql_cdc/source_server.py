"""The sandbox's SQL Server as a process, its databases, and the provider reading them through Microsoft's driver."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pyodbc
from dstream_mssql_cdc.provider import MssqlCdc
from dstream_sandbox.certificates import ensure_certificates
from dstream_sandbox.control_access import TOKEN_FILE, authorization, ensure_token

from dstream.odbc import find_driver
from dstream.sdk import Checkpoint, Lines, RunOptions, Stop, Telemetry, decode_config

PASSWORD = "Correct-horse-1"
pyodbc.pooling = False


class SourceServer:
    """The process. Its data and port survive `kill` and `start`."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self._folder = folder
        self._flags = flags
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        ensure_certificates(folder)
        (folder / "password").write_text(PASSWORD)

    def start(self) -> SourceServer:
        folder = self._folder
        command: list[str | Path] = [sys.executable, "-m", "dstream_sandbox.sqlserver", "--data", folder / "data"]
        command += ["--port", str(self.port), "--user", "sa", "--password-file", folder / "password"]
        command += ["--cert", folder / "server.pem", "--key", folder / "server.key", *self._flags]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.port = json.loads(self._process.stdout.readline())["port"]
        return self

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)

    def connect(self, database: str = "master", *, autocommit: bool = True) -> pyodbc.Connection:
        return pyodbc.connect(f"DRIVER={find_driver()};{self.connection_string(database)}", autocommit=autocommit)

    def fault(self, **rule: Any) -> None:
        """Inject a fault (sandbox/dstream_sandbox/sqlserver/faults.py has the fields)."""
        self._control("POST", {"kind": "sql", **rule})

    def clear_faults(self) -> None:
        self._control("DELETE")

    def faults(self) -> list[Any]:
        """The faults that are not used up."""
        return self._control("GET")

    def _control(self, method: str, body: object = None) -> list[Any]:
        url = f"http://127.0.0.1:{self.port}/_sandbox/faults"
        headers = authorization(ensure_token(self._folder / "data" / TOKEN_FILE))
        with urlopen(Request(url, json.dumps(body).encode(), headers, method=method), timeout=60) as answer:
            faults: list[Any] = json.load(answer)["faults"]
            return faults

    def connection_string(self, database: str, password: str = PASSWORD) -> str:
        return (
            f"Server=127.0.0.1,{self.port};Database={database};UID=sa;PWD={password};"
            "Encrypt=yes;TrustServerCertificate=yes"
        )


@dataclass
class SourceDatabase:
    """A database with CDC, and one connection to it."""

    server: SourceServer
    name: str
    connection: pyodbc.Connection

    def run(self, statement: str, *parameters: object) -> None:
        self.connection.execute(statement, parameters).close()

    def rows(self, query: str, *parameters: object) -> list[Any]:
        return [*self.connection.execute(query, parameters).fetchall()]

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        self.run("BEGIN TRANSACTION")
        yield
        self.run("COMMIT")

    def capture(self, table: str, instance: str | None = None) -> None:
        schema, name = table.split(".")
        self.run(
            "EXEC sys.sp_cdc_enable_table @source_schema = ?, @source_name = ?, @role_name = NULL, "
            "@capture_instance = ?",
            schema,
            name,
            instance or f"{schema}_{name}",
        )

    def config(self, *tables: str, **settings: Any) -> dict[str, Any]:
        text = self.server.connection_string(self.name)
        return {"db_connection_string": text, "tables": list(tables), "start_from": "earliest", **settings}

    def close(self) -> None:
        self.connection.close()


def make_database(server: SourceServer, name: str, *, cdc: bool = True) -> SourceDatabase:
    with contextlib.closing(server.connect()) as master:
        master.execute(f"CREATE DATABASE [{name}]").close()
    database = SourceDatabase(server, name, server.connect(name))
    if cdc:
        database.run("EXEC sys.sp_cdc_enable_db")
    return database


@dataclass
class Reading:
    """What a run yielded. `states` are the checkpoints, each with the number of lines before it."""

    lines: list[bytes] = field(default_factory=list)
    states: list[tuple[int, Mapping[str, Any]]] = field(default_factory=list)
    telemetry: list[dict[str, Any]] = field(default_factory=list)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    @property
    def state(self) -> Mapping[str, Any]:
        return self.states[-1][1]

    @property
    def told(self) -> list[str]:
        """The names of the log events."""
        return [line["event"] for line in self.telemetry if line.get("dstream") == "log"]

    @property
    def rows(self) -> list[tuple[str, dict[str, Any]]]:
        return [(event["metadata"]["OperationType"], event["data"]) for event in self.events]


def provider(config: Mapping[str, Any], write: Callable[[bytes], None], **run: Any) -> MssqlCdc:
    made = MssqlCdc()
    made.config = decode_config(dict(config), MssqlCdc.config_type())
    made.run = RunOptions(**run)
    made.telemetry = Telemetry(write)
    return made


def read(
    config: Mapping[str, Any],
    state: Mapping[str, Any] | None = None,
    *,
    stop_after: int | None = None,
    on_item: Callable[[Reading, Stop], None] = lambda reading, stop: None,
    before_read: Callable[[MssqlCdc], None] = lambda one: None,
    pace: Mapping[str, Any] | None = None,
    telemetry: list[dict[str, Any]] | None = None,
    **run: Any,
) -> Reading:
    """Read once, to the end, or stop after `stop_after` items, as in a crash."""
    reading, stop = Reading(telemetry=[] if telemetry is None else telemetry), Stop()
    one = provider(config, lambda line: reading.telemetry.append(json.loads(line)), **{"once": True, **run})
    if pace:
        _set_pace(one, pace)
    try:
        one.start()
        before_read(one)
        for count, item in enumerate(one.read(_stored(state), stop), 1):
            if isinstance(item, Lines):
                reading.lines += item.data.splitlines()
            elif isinstance(item, Checkpoint):
                reading.states.append((len(reading.lines), _stored(item.state)))
                one.acknowledged(_stored(item.state))
            on_item(reading, stop)
            if count == stop_after:
                break
    finally:
        one.close()
    return reading


def wait_until(condition: Callable[[], Any], what: str, timeout_s: float = 30) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.01)
    return value


def _stored(state: Mapping[str, Any] | None) -> dict[str, Any]:
    """Round-trip the state through JSON, as the host stores it."""
    stored: dict[str, Any] = json.loads(json.dumps(state or {}))
    return stored


def _set_pace(one: MssqlCdc, changes: Mapping[str, Any]) -> None:
    """Use small pages and windows, which no setting offers."""
    standard = one._pace

    def pace() -> Any:
        from dataclasses import replace

        return replace(standard(), **changes)

    one._pace = pace  # type: ignore[method-assign]
