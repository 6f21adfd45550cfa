"""Starts a real sandbox and real `dstream` processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil
import pyodbc
from azure.servicebus import ServiceBusClient, ServiceBusReceiveMode
from dstream_sandbox import clients
from dstream_sandbox.control_access import authorization, ensure_token
from dstream_sandbox.environment import environment
from dstream_sandbox.folder import Folder, Settings

from tests.warm import run_dstream

BIN = Path(sys.executable).parent
DEADLINE_S = 60.0


def wait_until(condition: Callable[[], Any], what: str, timeout_s: float = DEADLINE_S, poll_s: float = 0.02) -> Any:
    """Return the condition's first true value. Fail the test after `timeout_s`, naming `what` did not happen."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"timed out after {timeout_s:g} s: {what}")
        time.sleep(poll_s)


class Sandbox:
    """A sandbox in its own folder, started with `dstream sandbox up --detach`."""

    def __init__(self, path: Path, *flags: str) -> None:
        self.folder = Folder(path)
        self._flags = flags

    def start(self) -> Sandbox:
        self._run("up", "--detach", *self._flags)
        return self

    def stop(self) -> None:
        self._run("down")

    def _run(self, *arguments: str) -> None:
        command = ["sandbox", *arguments, "--data", self.folder.path]
        done = run_dstream(command, Path.cwd(), os.environ, timeout_s=120.0)
        assert done.returncode == 0, done.stderr

    @property
    def settings(self) -> Settings:
        settings = self.folder.settings()
        assert settings is not None
        return settings

    @property
    def env(self) -> dict[str, str]:
        """The environment after `eval "$(dstream sandbox env)"`."""
        return {**os.environ, **environment(self.folder, self.settings, os.environ)}

    def kill(self, server: str) -> int:
        """Kill one server ("sqlserver", "servicebus") with SIGKILL and return its pid. Its supervisor restarts it."""
        pid: int = wait_until(lambda: getattr(self.folder.running(), server, None), f"{server} runs")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return pid

    def fault(self, **rule: Any) -> None:
        """Inject a fault into the broker (servicebus/faults.py has the fields)."""
        self.control("faults", rule)

    def control(self, path: str, body: object = None, method: str | None = None) -> Any:
        """Ask a control endpoint of the admin port; a `body` is posted."""
        data = None if body is None else json.dumps(body).encode()
        headers = authorization(ensure_token(self.folder.control_token))
        url = f"http://127.0.0.1:{self.settings.admin_port}/_sandbox/{path}"
        with urlopen(Request(url, data, headers, method=method), timeout=60) as answer:
            return json.load(answer)

    def connect(self, *, autocommit: bool = True, database: str | None = None) -> pyodbc.Connection:
        if database:
            return clients.connect(self.settings, autocommit=autocommit, database=database)
        return clients.connect(self.settings, autocommit=autocommit)

    def sql(self, statement: str, *parameters: Any) -> list[pyodbc.Row]:
        """Run one statement and return its rows."""
        with contextlib.closing(self.connect()) as connection:
            cursor = connection.execute(statement, *parameters)
            return cursor.fetchall() if cursor.description else []

    def create_queue(self, name: str, **settings: Any) -> None:
        with clients.administration(self.folder, self.settings) as administration:
            administration.create_queue(name, **settings)

    def active_messages(self, queue: str) -> int:
        """The number of messages in the queue, according to the broker."""
        with clients.administration(self.folder, self.settings) as administration:
            return administration.get_queue_runtime_properties(queue).active_message_count or 0

    def receive(self, queue: str, count: int, *, idle_s: float = 0.3) -> list[Message]:
        """Receive all messages of the queue, at least `count`, so that repeats show. Return them in publishing order.

        Returns once the queue is empty and nothing has arrived for `idle_s`.
        """
        messages: list[Message] = []
        last_came = time.monotonic()
        with ServiceBusClient.from_connection_string(self.env["ASB_CONNECTION_STRING"]) as client:
            mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
            # With a keep-alive thread, `close` waits for its sleep of a second.
            receiver = client.get_queue_receiver(queue, receive_mode=mode, prefetch_count=500, keep_alive=0)
            with receiver:
                while time.monotonic() - last_came < DEADLINE_S:
                    batch = receiver.receive_messages(max_message_count=1000, max_wait_time=idle_s)
                    if batch:
                        last_came = time.monotonic()
                    elif len(messages) >= count and not self.active_messages(queue):
                        return sorted(messages)
                    messages += [
                        Message(each.sequence_number or 0, str(each.message_id), b"".join(each.body)) for each in batch
                    ]
        raise AssertionError(f"no message arrived for {DEADLINE_S:g} s after {len(messages)} of {count}")


@dataclass(frozen=True, slots=True, order=True)
class Message:
    """A received message. Sequence numbers count the messages that the queue accepted, so they give publishing order."""

    sequence_number: int
    id: str
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event

    @property
    def metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = self.event["metadata"]
        return metadata

    @property
    def position(self) -> tuple[str, int, str, int]:
        """The position of its change in the log: LSN, command id, sequence value, operation."""
        metadata = self.metadata
        return metadata["LSN"], metadata["CommandId"] or 0, metadata["Seq"], metadata["OperationID"]


def planted_modules(folder: Path) -> Path:
    """Write modules named like those that every Python program imports. Return the file that they make when they run."""
    ran = folder / "ran"
    for name in ("json", "msgspec", "typing"):
        (folder / f"{name}.py").write_text(f"open({str(ran)!r}, 'w')\nraise SystemExit(99)\n")
    return ran


@dataclass
class DStream:
    """Runs `dstream` in a folder, as a user would."""

    cwd: Path
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def __call__(self, *arguments: str | Path, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run it and wait for it to exit."""
        return run_dstream(arguments, self.cwd, self.env, timeout_s)

    @contextlib.contextmanager
    def running(self, *arguments: str | Path, new_session: bool = False) -> Iterator[RunningCommand]:
        """Run it in the background; kill it at the end if it is still running. `new_session`: without a terminal."""
        log = self.cwd / f"dstream-{time.monotonic_ns()}.log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [BIN / "dstream", *arguments],
                cwd=self.cwd,
                env={"PYTHONFAULTHANDLER": "1", **self.env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=new_session,
            )
        command = RunningCommand(process, log)
        try:
            yield command
        finally:
            process.kill()
            process.wait()


@dataclass(frozen=True, slots=True)
class RunningCommand:
    """A `dstream` process and what it has written to stderr so far."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def stderr(self) -> str:
        return self.log.read_text()

    def says(self, text: str, timeout_s: float = DEADLINE_S) -> None:
        """Wait until stderr contains the text."""

        def said() -> bool:
            if text in self.stderr:
                return True
            assert self.process.poll() is None, f"ended with {self.process.returncode} before {text!r}:\n{self.stderr}"
            return False

        wait_until(said, f"{text!r} on stderr", timeout_s)

    def children(self) -> list[psutil.Process]:
        """Its providers."""
        return psutil.Process(self.process.pid).children()

    def child(self, name: str) -> psutil.Process:
        """The provider whose command line contains `name`."""
        return next(child for child in self.children() if name in " ".join(child.cmdline()))

    def ended(self, timeout_s: float = DEADLINE_S) -> int:
        """Return its exit code. If it does not end, fail with what it has said and where its threads are."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait(DEADLINE_S)
            raise AssertionError(f"did not end within {timeout_s:g} s:\n{self.stderr}") from None
