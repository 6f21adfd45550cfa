"""SDK providers, tested over the protocol with real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

COUNTER = [sys.executable, "-m", "dstream.sdk.examples.counter"]
CONSOLE = [sys.executable, "-m", "dstream.sdk.examples.console"]
WELCOME = {"dstream": "welcome", "protocol": 1}


class Peer:
    """The host's end of a provider's pipes."""

    def __init__(self, command: list[str], *, legacy_host: bool = False) -> None:
        env = {name: value for name, value in os.environ.items() if name != "DSTREAM_PROTOCOL"}
        if not legacy_host:
            env["DSTREAM_PROTOCOL"] = "1"
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
        )

    def write(self, *messages: dict[str, Any] | bytes) -> None:
        assert self.process.stdin
        for message in messages:
            line = message if isinstance(message, bytes) else json.dumps(message, separators=(",", ":")).encode()
            self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()

    def read(self) -> dict[str, Any] | None:
        assert self.process.stdout
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def rest(self) -> list[dict[str, Any]]:
        lines = []
        while (message := self.read()) is not None:
            lines.append(message)
        return lines

    def stderr(self) -> str:
        assert self.process.stderr
        return self.process.stderr.read().decode()


@pytest.fixture
def peers() -> Iterator[list[Peer]]:
    started: list[Peer] = []
    yield started
    for peer in started:
        peer.process.kill()
        peer.process.wait()
        for pipe in (peer.process.stdin, peer.process.stdout, peer.process.stderr):
            assert pipe
            pipe.close()


def start(peers: list[Peer], command: list[str], **options: bool) -> Peer:
    peers.append(Peer(command, **options))
    return peers[-1]


def command(config: dict[str, Any], state: dict[str, Any] | None = None, **run: Any) -> dict[str, Any]:
    return {"command": "run", "config": config, "state": state or {}, "run": {"task": "t", "id": "r", **run}}


def test_hello_is_the_first_line_with_role_and_capabilities(peers: list[Peer]) -> None:
    hello = start(peers, CONSOLE).read()
    assert hello
    assert (hello["dstream"], hello["protocol"], hello["role"], hello["name"]) == ("hello", 1, "output", "console")
    assert {"ack", "checkpoint", "drain", "heartbeat", "log", "metric", "describe"} <= set(hello["capabilities"])


def test_an_input_exits_once_everything_is_acknowledged(peers: list[Peer]) -> None:
    peer = start(peers, COUNTER)
    peer.read()
    peer.write(command({"interval": "1ms", "count": 3}), WELCOME)
    assert peer.read() == {"status": "ready"}
    lines = []
    while not lines or lines[-1].get("dstream") != "end":
        message = peer.read()
        assert message
        lines.append(message)
    rows = [line["data"]["value"] for line in lines if "data" in line]
    checkpoints = [line for line in lines if line.get("dstream") == "checkpoint"]
    assert rows == [1, 2, 3]
    assert checkpoints[-1]["state"] == {"next": 4}
    assert sum(each["n"] for each in checkpoints) == 3
    assert [each["seq"] for each in checkpoints] == list(range(1, len(checkpoints) + 1))
    assert lines[-1] == {"dstream": "end", "seq": checkpoints[-1]["seq"]}
    peer.write({"dstream": "ack", "seq": checkpoints[-1]["seq"]})
    peer.close()
    assert peer.process.wait(60) == 0


def test_an_input_resumes_from_the_given_state(peers: list[Peer]) -> None:
    peer = start(peers, COUNTER)
    peer.read()
    peer.write(command({"interval": "1ms", "count": 7}, {"next": 7}), WELCOME)
    assert peer.read() == {"status": "ready"}
    first = peer.read()
    assert first
    assert first["data"] == {"value": 7}


def test_stop_makes_an_input_checkpoint_its_last_row(peers: list[Peer]) -> None:
    peer = start(peers, COUNTER)
    peer.read()
    peer.write(command({"interval": "1h"}), WELCOME)
    assert [peer.read(), peer.read()][0] == {"status": "ready"}
    peer.write({"dstream": "stop", "deadline_ms": 1000})
    peer_lines = [peer.read(), peer.read()]
    assert peer_lines == [
        {"dstream": "checkpoint", "seq": 1, "n": 1, "state": {"next": 2}},
        {"dstream": "end", "seq": 1},
    ]


def test_an_input_stops_writing_at_max_in_flight(peers: list[Peer]) -> None:
    peer = start(peers, COUNTER)
    peer.read()
    peer.write(command({"interval": "1ms"}, max_in_flight=2), WELCOME)
    assert peer.read() == {"status": "ready"}
    seen = 0
    while seen < 2:
        message = peer.read()
        assert message
        seen += message.get("dstream") == "checkpoint"
    peer.write({"dstream": "ack", "seq": 1})
    while seen < 3:
        message = peer.read()
        assert message
        seen += message.get("dstream") == "checkpoint"
    assert message["seq"] == 3


def test_an_output_acknowledges_with_the_row_count(peers: list[Peer]) -> None:
    peer = start(peers, CONSOLE)
    peer.read()
    peer.write(command({}))
    assert peer.read() == {"status": "ready"}
    peer.write({"data": {"a": 1}}, {"data": {"a": 2}}, {"dstream": "checkpoint", "seq": 1, "n": 2})
    assert peer.read() == {"dstream": "ack", "seq": 1, "n": 2}
    peer.write(
        {"data": {"a": 3}}, {"dstream": "checkpoint", "seq": 2, "n": 1}, {"dstream": "stop", "deadline_ms": 1000}
    )
    assert peer.read() == {"dstream": "ack", "seq": 2, "n": 1}
    peer.close()
    assert peer.process.wait(60) == 0
    assert [json.loads(line)["data"]["a"] for line in peer.stderr().splitlines()] == [1, 2, 3]


def test_an_output_whose_host_dies_fails(peers: list[Peer]) -> None:
    peer = start(peers, CONSOLE)
    peer.read()
    peer.write(command({}))
    assert peer.read() == {"status": "ready"}
    peer.close()  # EOF without a stop
    assert peer.process.wait(60) != 0


@pytest.mark.parametrize(
    ("config", "path", "words"),
    [
        ({"intervall": "1s"}, "intervall", "unknown setting"),
        ({"count": 0}, "count", "must be at least 1"),
        ({"interval": "soon"}, "interval", "not a valid duration"),
    ],
)
def test_a_bad_config_is_an_error_before_ready(
    peers: list[Peer], config: dict[str, Any], path: str, words: str
) -> None:
    peer = start(peers, COUNTER)
    peer.read()
    peer.write(command(config), WELCOME)
    answer = peer.read()
    assert answer
    assert answer["status"] == "error"
    assert (answer["error"]["kind"], answer["error"]["config_path"]) == ("config", path)
    assert words in answer["error"]["message"]
    assert peer.process.wait(60) == 1


def test_describe_returns_the_config_schema_without_running(peers: list[Peer]) -> None:
    peer = start(peers, COUNTER)
    peer.read()
    peer.write({"command": "describe"})
    (description,) = peer.rest()
    assert set(description["config_schema"]["$defs"]["Config"]["properties"]) == {
        "interval",
        "count",
        "max_count",
        "maxCount",
    }
    assert peer.process.wait(60) == 0


def test_an_input_refuses_lifecycle_commands(peers: list[Peer]) -> None:
    peer = start(peers, COUNTER)
    peer.read()
    peer.write({"command": "init", "config": {}})
    answer = peer.read()
    assert answer
    assert answer["status"] == "Failed"
    assert answer["message"] == "This is an input provider and doesn't support lifecycle commands"
    assert answer["error"]["code"] == "provider.no_lifecycle"
    assert peer.process.wait(60) == 3


def test_a_legacy_host_gets_no_control_lines_and_eof_is_not_a_stop(peers: list[Peer]) -> None:
    peer = start(peers, COUNTER, legacy_host=True)
    peer.write(command({"interval": "1ms", "count": 2}))
    peer.close()
    assert peer.rest() == [
        {"status": "ready"},
        {"data": {"value": 1}, "metadata": {"OperationType": "Insert"}},
        {"data": {"value": 2}, "metadata": {"OperationType": "Insert"}},
    ]


def test_a_bare_config_is_a_run(peers: list[Peer]) -> None:
    peer = start(peers, CONSOLE, legacy_host=True)
    peer.write({"format": "count"}, {"data": {}}, {"data": {}})
    peer.close()
    assert peer.process.wait(60) == 0
    assert peer.stderr().splitlines()[-1] == "2 rows"


def test_print_goes_to_stderr_and_an_exception_is_reported(peers: list[Peer], tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(
        "import msgspec\n"
        "from dstream.sdk import InputProvider, Row, StdioProviderHost\n"
        "class Config(msgspec.Struct): pass\n"
        "class Noisy(InputProvider[Config]):\n"
        "    def read(self, state, stop):\n"
        "        print('hello there')\n"
        "        yield Row({'a': 1})\n"
        "        raise ValueError('it broke')\n"
        "StdioProviderHost(Noisy).run()\n"
    )
    peer = start(peers, [sys.executable, str(tmp_path / "noisy.py")])
    peer.read()
    peer.write(command({}), WELCOME)
    lines = peer.rest()
    assert lines[0] == {"status": "ready"}
    assert lines[-1]["dstream"] == "error"
    assert (lines[-1]["code"], lines[-1]["kind"]) == ("provider.crashed", "system")
    assert "it broke" in lines[-1]["message"]
    assert "hello there" in peer.stderr()


def test_an_exception_in_acknowledged_ends_the_run(peers: list[Peer], tmp_path: Path) -> None:
    (tmp_path / "picky.py").write_text(
        "import msgspec\n"
        "from dstream.sdk import Checkpoint, InputProvider, Row, StdioProviderHost\n"
        "class Config(msgspec.Struct): pass\n"
        "class Picky(InputProvider[Config]):\n"
        "    def acknowledged(self, state): raise ValueError('it broke')\n"
        "    def read(self, state, stop):\n"
        "        yield Row({'a': 1})\n"
        "        yield Checkpoint({'n': 1})\n"
        "        stop.wait(600)\n"
        "StdioProviderHost(Picky).run()\n"
    )
    peer = start(peers, [sys.executable, str(tmp_path / "picky.py")])
    peer.read()
    peer.write(command({}), WELCOME)
    while (peer.read() or {}).get("dstream") != "checkpoint":
        pass
    peer.write({"dstream": "ack", "seq": 1})
    (line,) = peer.rest()
    assert (line["dstream"], line["code"], line["message"]) == ("error", "provider.crashed", "ValueError: it broke")


def test_a_cancelled_future_ends_the_run(peers: list[Peer], tmp_path: Path) -> None:
    (tmp_path / "gives_up.py").write_text(
        "import msgspec\n"
        "from concurrent.futures import Future\n"
        "from threading import Timer\n"
        "from dstream.sdk import OutputProvider, StdioProviderHost\n"
        "class Config(msgspec.Struct): pass\n"
        "class GivesUp(OutputProvider[Config]):\n"
        "    def write(self, batch):\n"
        "        future = Future()\n"
        "        Timer(0.05, future.cancel).start()\n"
        "        return future\n"
        "StdioProviderHost(GivesUp).run()\n"
    )
    peer = start(peers, [sys.executable, str(tmp_path / "gives_up.py")])
    peer.read()
    peer.write(command({}), {"data": {"a": 1}}, {"dstream": "checkpoint", "seq": 1, "n": 1})
    lines = peer.rest()
    assert (lines[-1]["dstream"], lines[-1]["code"]) == ("error", "provider.crashed")


def test_a_failed_close_does_not_hide_the_error_of_the_start(peers: list[Peer], tmp_path: Path) -> None:
    (tmp_path / "half.py").write_text(
        "import msgspec\n"
        "from dstream.sdk import InputProvider, StdioProviderHost\n"
        "class Config(msgspec.Struct): pass\n"
        "class Half(InputProvider[Config]):\n"
        "    def start(self): self.file = open('/nowhere/rows.csv')\n"
        "    def close(self): self.file.close()\n"
        "StdioProviderHost(Half).run()\n"
    )
    peer = start(peers, [sys.executable, str(tmp_path / "half.py")])
    peer.read()
    peer.write(command({}), WELCOME)
    (line,) = peer.rest()
    assert (line["status"], line["error"]["code"]) == ("error", "system.failed")
    assert line["message"] == "No such file or directory: /nowhere/rows.csv"
    assert peer.stderr() == ""


def test_rows_after_the_last_checkpoint_are_an_error(peers: list[Peer], tmp_path: Path) -> None:
    (tmp_path / "loose.py").write_text(
        "import msgspec\n"
        "from dstream.sdk import InputProvider, Row, StdioProviderHost\n"
        "class Config(msgspec.Struct): pass\n"
        "class Loose(InputProvider[Config]):\n"
        "    def read(self, state, stop):\n"
        "        yield Row({'a': 1})\n"
        "StdioProviderHost(Loose).run()\n"
    )
    peer = start(peers, [sys.executable, str(tmp_path / "loose.py")])
    peer.read()
    peer.write(command({}), WELCOME)
    assert peer.rest()[-1]["code"] == "provider.uncovered_rows"


def test_a_provider_started_in_a_terminal_explains_itself() -> None:
    leader, follower = os.openpty()
    try:
        done = subprocess.run(COUNTER, stdin=follower, capture_output=True, text=True, timeout=30, check=False)
    finally:
        os.close(leader)
        os.close(follower)
    assert done.returncode == 1
    assert "counter is a DStream provider" in done.stderr
