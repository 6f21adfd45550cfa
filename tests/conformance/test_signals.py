"""The first signal stops a command in order and says so; the second one stops it at once. Real processes."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.conformance.commands import COMMAND, QUEUES, Place, ended, wait_until

AGAIN = {signal.SIGINT: "Press Ctrl-C again to stop now.", signal.SIGTERM: "A second signal stops it now."}
PROCESS_1 = ("unshare", "--user", "--map-root-user", "--fork", "--pid", "--kill-child")
HANGING = """#!/usr/bin/env python3
import json, signal, sys, time
role, capabilities, hangs_at = sys.argv[1:4]
print(json.dumps({"dstream": "hello", "protocol": 1, "role": role, "name": "hanging", "version": "1",
                  "capabilities": capabilities.split(",")}), flush=True)
asked = json.loads(sys.stdin.readline())["command"]
if asked == hangs_at:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open(f"{asked}-hangs", "w").close()
    time.sleep(600)
sys.exit(1)
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def streaming(place: Place, *prefix: str, stdin: int | None = None) -> subprocess.Popen[str]:
    """Start `dstream run` from counter to console, and return when a checkpoint is stored."""
    place.task(output="console")
    hcl = place.folder / "dstream.hcl"
    hcl.write_text(hcl.read_text().replace("      count = 5\n", ""))
    process = subprocess.Popen(
        [*prefix, *COMMAND, "run", "t"],
        cwd=place.folder,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: list(place.folder.glob(".dstream/state/*/t.json")), "a checkpoint")
    return process


def has_reader(fifo: Path) -> bool:
    try:
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def hanging(place: Place, role: str, capabilities: str, hangs_at: str) -> str:
    """Return the path of a provider that hangs at a command and ignores every request to stop."""
    (place.folder / "hanging.py").write_text(HANGING)
    path = place.folder / "hanging"
    path.write_text(f'#!/bin/sh\nexec python3 -S "{place.folder}/hanging.py" {role} {capabilities} {hangs_at}\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_run_drains_on_the_first_signal_and_says_what_a_second_one_does(number: signal.Signals, place: Place) -> None:
    code, _, stderr = ended(streaming(place), number)
    assert code == 0, stderr
    assert "drained=true" in stderr
    assert f"Draining: delivering the rows already read, for at most 25 s. {AGAIN[number]}" in stderr


def test_a_run_drains_when_its_terminal_hangs_up(place: Place) -> None:
    leader, follower = os.openpty()
    process = streaming(place, "setsid", "--ctty", stdin=follower)
    code, _, stderr = ended(process, signal.SIGHUP)
    os.close(leader)
    os.close(follower)
    assert code == 0, stderr
    assert f"Draining: delivering the rows already read, for at most 25 s. {AGAIN[signal.SIGTERM]}" in stderr


def test_a_run_under_nohup_outlives_its_terminal(place: Place) -> None:
    process = streaming(place, "nohup")
    process.send_signal(signal.SIGHUP)
    # The next signal cannot overtake an ignored one, so it is SIGTERM that drains.
    code, _, stderr = ended(process, signal.SIGTERM)
    assert code == 0, stderr
    assert stderr.count("Draining:") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_init_finishes_its_step_on_the_first_signal_and_says_so(number: signal.Signals, place: Place) -> None:
    place.queues(slow={"init:returns": "1h"})
    process = place.start("init", "t", "--yes", "--log-format", "text")
    wait_until(lambda: "orders" in place.world["real"], "the first resource")
    code, _, stderr = ended(process, number)
    assert code == 128 + number
    assert "Cancelling: finishing the steps under way and recording them." in stderr
    assert place.world["recorded"] == {"orders": QUEUES["orders"]}


@pytest.mark.skipif(
    subprocess.run([*PROCESS_1, "true"], capture_output=True, check=False).returncode != 0,
    reason="needs user namespaces",
)
def test_process_1_of_a_container_can_be_stopped_while_it_starts(tmp_path: Path) -> None:
    os.mkfifo(blocks := tmp_path / "blocks")
    (tmp_path / "click.py").write_text(f"while True: open({str(blocks)!r}).close()\n")  # an import that never ends
    with subprocess.Popen([*PROCESS_1, *COMMAND, "version"], cwd=tmp_path) as unshare:
        wait_until(lambda: has_reader(blocks), "the import")
        (first,) = psutil.Process(unshare.pid).children()
        first.terminate()
        try:
            assert unshare.wait(10) == 128 + signal.SIGTERM
        finally:
            unshare.kill()


@pytest.mark.parametrize(
    ("flags", "stream", "said"),
    [
        (("--log-format", "json"), "stderr", '"event": "command.stopping"'),
        (("--json-stream",), "stdout", '"name": "command.stopping"'),
    ],
)
def test_machine_readable_output_names_the_stop_as_well(
    flags: tuple[str, ...], stream: str, said: str, place: Place
) -> None:
    place.queues(slow={"init:returns": "1h"})
    process = place.start("init", "t", "--yes", *flags)
    wait_until(lambda: "orders" in place.world["real"], "the first resource")
    _, stdout, stderr = ended(process, signal.SIGTERM)
    assert said in {"stdout": stdout, "stderr": stderr}[stream]


@pytest.mark.parametrize("command", ["plan", "status"])
def test_a_command_that_changes_nothing_does_not_wait_for_a_provider_that_hangs(command: str, place: Place) -> None:
    # A cancelled `init` may take 300 s, longer than this test waits.
    (place.folder / "dstream.hcl").write_text(
        'task "t" {\n  input {\n    provider = "counter"\n  }\n'
        f'  output {{\n    provider_path = "{hanging(place, "output", "infrastructure", command)}"\n  }}\n}}\n'
    )
    process = place.start(command, "t")
    wait_until((place.folder / f"{command}-hangs").exists, "the provider hangs")
    code, _, stderr = ended(process, signal.SIGINT)
    assert code == 130, stderr
    assert f"Cancelling. {AGAIN[signal.SIGINT]}" in stderr


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_provider_that_hangs_while_it_describes_itself_can_be_interrupted(command: str, place: Place) -> None:
    path = hanging(place, "output", "infrastructure,describe,ack", "describe")
    (place.folder / "dstream.hcl").write_text(
        'task "t" {\n  input {\n    provider = "counter"\n  }\n'
        f'  output {{\n    provider_path = "{path}"\n    config {{\n      a = "b"\n    }}\n  }}\n}}\n'
    )
    process = place.start(command, "t")
    wait_until((place.folder / "describe-hangs").exists, "the provider hangs")
    process.send_signal(signal.SIGTERM)
    # It would answer nothing for 30 s.
    code = process.wait(15)
    assert code == (0 if command == "run" else 143)
    process.communicate()


def test_an_interrupted_prompt_says_so(place: Place) -> None:
    place.queues()
    code, shown = place.at_a_terminal(b"\x03", "init", "t")
    assert code == 130
    assert "Interrupted." in shown
