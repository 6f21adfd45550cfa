"""Lifecycle commands of SDK providers, tested over the protocol with real processes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.sdk.test_stdio import CONSOLE, Peer

WORLD = [sys.executable, "-m", "dstream.sdk.examples.test_infrastructure"]


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


def ask(peers: list[Peer], folder: Path, command: str, *, legacy_host: bool = False, **config: Any) -> Peer:
    peers.append(Peer(WORLD, legacy_host=legacy_host))
    peer = peers[-1]
    if not legacy_host:
        hello = peer.read()
        assert hello
        assert "infrastructure" in hello["capabilities"]
    given = {"resources": {"orders": {"size": 1}}, "file": str(folder / "world.json"), **config}
    peer.write({"command": command, "config": given, "infrastructure": {"later": 1}, "options": {"later": 1}})
    return peer


def last_of(peer: Peer) -> dict[str, Any]:
    return peer.rest()[-1]


def test_progress_is_streamed_and_repeated_in_the_result(peers: list[Peer], tmp_path: Path) -> None:
    peer = ask(peers, tmp_path, "init")
    *progress, result = peer.rest()
    assert [(line["dstream"], line["phase"], line["op"], line["name"]) for line in progress] == [
        ("resource", "started", "create", "orders"),
        ("resource", "done", "create", "orders"),
    ]
    assert (result["status"], result["metadata"]["summary"], result["error"]) == ("Success", {"create": 1}, None)
    assert peer.process.wait(60) == 0  # even though stdin is still open


@pytest.mark.parametrize("how", ["stop", "eof"])
def test_stop_and_eof_cancel_between_steps_and_report_finished_steps(
    how: str, peers: list[Peer], tmp_path: Path
) -> None:
    resources = {"first": {"size": 1}, "second": {"size": 1}}
    peer = ask(peers, tmp_path, "init", resources=resources, slow={"init:second": "1h"})
    while (line := peer.read()) and line["name"] != "second":
        pass
    if how == "stop":
        peer.write({"dstream": "stop", "deadline_ms": 1000})
    else:
        peer.close()
    result = last_of(peer)
    assert (result["status"], result["error"]["code"]) == ("Failed", "provider.cancelled")
    assert [(each["name"], each["phase"]) for each in result["resources"]] == [("first", "done"), ("second", "failed")]
    assert json.loads((tmp_path / "world.json").read_text())["recorded"] == {"first": {"size": 1}}


def test_init_finishes_even_if_the_host_stops_reading(peers: list[Peer], tmp_path: Path) -> None:
    peer = ask(peers, tmp_path, "init", slow={"init": "300ms"})
    assert peer.process.stdout
    peer.process.stdout.close()
    assert peer.process.wait(60) == 0
    assert json.loads((tmp_path / "world.json").read_text())["recorded"] == {"orders": {"size": 1}}
    peer.process.stdout = open(os.devnull, "rb")  # noqa: SIM115  # closed by the fixture


def test_a_failed_command_reports_failed_and_exits_nonzero(peers: list[Peer], tmp_path: Path) -> None:
    peer = ask(peers, tmp_path, "destroy", fail={"destroy": "auth"})
    result = last_of(peer)
    assert (result["status"], result["error"]["kind"]) == ("Failed", "auth")
    assert peer.process.wait(60) != 0


def test_a_bad_config_fails_with_its_path(peers: list[Peer], tmp_path: Path) -> None:
    result = last_of(ask(peers, tmp_path, "plan", resorces={}))
    assert (result["error"]["code"], result["error"]["config_path"]) == ("config.invalid", "resorces")


def test_a_legacy_host_receives_only_the_result_line(peers: list[Peer], tmp_path: Path) -> None:
    peer = ask(peers, tmp_path, "init", legacy_host=True)
    peer.close()
    (result,) = peer.rest()
    assert result["status"] == "Success"


def test_an_output_without_lifecycle_methods_refuses_lifecycle_commands(peers: list[Peer]) -> None:
    peers.append(Peer(CONSOLE))
    peers[-1].read()
    peers[-1].write({"command": "status", "config": {}})
    result = last_of(peers[-1])
    assert (result["status"], result["error"]["code"]) == ("Failed", "provider.no_lifecycle")
    assert peers[-1].process.wait(60) == 3


def test_an_exception_fails_with_the_resources_reported_so_far(peers: list[Peer], tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "import msgspec\n"
        "from dstream.sdk import OutputProvider, Plan, Resource, Result, Status, StdioProviderHost\n"
        "class Config(msgspec.Struct): pass\n"
        "class Broken(OutputProvider[Config]):\n"
        "    def init(self, context):\n"
        "        context.resource(Resource('a', op='create'), 'done')\n"
        "        context.diagnostic('warning', 'look out', name='a')\n"
        "        print('a word')\n"
        "        raise ValueError('it broke')\n"
        "    def plan(self, context): return Plan()\n"
        "    def status(self, context): return Status()\n"
        "    def destroy(self, context): return Result()\n"
        "StdioProviderHost(Broken).run()\n"
    )
    peers.append(Peer([sys.executable, str(tmp_path / "broken.py")]))
    peer = peers[-1]
    peer.read()
    peer.write({"command": "init", "config": {}})
    lines = peer.rest()
    assert [line.get("dstream") for line in lines] == ["resource", "diagnostic", None]
    assert (lines[-1]["status"], lines[-1]["error"]["code"]) == ("Failed", "provider.crashed")
    assert [each["name"] for each in lines[-1]["resources"]] == ["a"]
    assert "a word" in peer.stderr()
