"""SIGKILL of the host, the provider, the engine or all of them at any step of `init` and `destroy`.

The same command again finishes the work: nothing is orphaned, nothing is created twice, and no message is lost.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import psutil
import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from tests.e2e.infrastructure.cases import ARM, ENTITIES, Make, Provisioned, task
from tests.running import BIN

Victim = Literal["host", "provider", "engine", "all"]
VICTIMS: Sequence[Victim] = ("host", "provider", "engine", "all")
MESSAGES = 3
CONFIG = """\
      topic   = "{name}"
      session = "table"
      subscriptions = [
        {{ name = "kept", sessions = false, max_delivery_count = {count} }},
        {{ name = "replaced", sessions = {sessions}, filter = "region = 'eu'" }},
        {{ name = "{last}", sessions = false, filter = "region = 'us'" }},
      ]
"""


@dataclass(frozen=True, slots=True)
class Killed:
    """A project whose commands are killed, and then run again."""

    project: Provisioned
    name: str

    def kill(self, victim: Victim, after: int, *command: str) -> bool:
        """Run the command, and kill the victim after this many events of resources. Return whether there were so many."""
        dstream = self.project.dstream
        with subprocess.Popen(
            [BIN / "dstream", *command, "--yes", "--json-stream", "--lock-timeout", "2m"],
            cwd=dstream.cwd,
            env=dict(dstream.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdout is not None
            events = (json.loads(line) for line in process.stdout)
            seen = sum(1 for _ in itertools.islice((each for each in events if each["event"] == "resource"), after))
            family = psutil.Process(process.pid).children(recursive=True) if seen == after else []
            if seen == after:
                _kill(victim, process.pid, family)
            process.stdout.read()
            process.wait()
        psutil.wait_procs(family, timeout=120)
        return seen == after

    def send(self) -> None:
        connection = self.project.sandbox.env["ASB_CONNECTION_STRING"]
        with (
            ServiceBusClient.from_connection_string(connection) as client,
            client.get_topic_sender(self.name) as sender,
        ):
            sender.send_messages([ServiceBusMessage(str(number)) for number in range(MESSAGES)])

    def check(self, subscriptions: set[str], messages: int) -> None:
        """Check that exactly these entities exist and are recorded, and that the messages are still there."""
        assert set(self.project.summary("plan", "orders", "--detailed-exitcode")) == {"same"}
        with self.project.administration() as administration:
            found = {each.name: each for each in administration.list_subscriptions(self.name)}
            assert set(found) == subscriptions
            for name in subscriptions - {"kept"}:
                assert {each.name for each in administration.list_rules(self.name, name)} == {"$Default"}
            kept = administration.get_subscription_runtime_properties(self.name, "kept")
            assert kept.active_message_count == messages

    def check_gone(self) -> None:
        assert self.project.records == []
        with self.project.administration() as administration, contextlib.suppress(ResourceNotFoundError):
            administration.get_topic(self.name)
            pytest.fail("the topic was orphaned")


def _kill(victim: Victim, host: int, family: Sequence[psutil.Process]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        engines = [each for each in family if each.name() == "pulumi"]
        victims = {
            "host": [psutil.Process(host)],
            "provider": [each for each in family if each.ppid() == host],
            "engine": engines,
            "all": [psutil.Process(host), *family],
        }[victim]
        for process in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        for process in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def hcl(mode: str, name: str, count: int, sessions: str, last: str) -> str:
    place = {"arm": ARM, "entities": ENTITIES}[mode]
    return task(place + CONFIG.format(name=name, count=count, sessions=sessions, last=last))


def life(killed: Killed, mode: str, kills: Sequence[Sequence[tuple[Victim, int]]]) -> int:
    """Create, change and destroy the infrastructure, with these kills of each. Return the number of kills."""
    project, patient = killed.project, ("--yes", "--lock-timeout", "2m")
    happened = 0
    project.write(hcl(mode, killed.name, 10, "false", "removed"))
    happened += sum([killed.kill(*each, "init", "orders") for each in kills[0]])
    project.succeed("init", "orders", *patient)
    killed.check({"kept", "replaced", "removed"}, 0)
    killed.send()
    project.write(hcl(mode, killed.name, 5, "true", "added"))
    happened += sum([killed.kill(*each, "init", "orders") for each in kills[1]])
    project.succeed("init", "orders", *patient)
    killed.check({"kept", "replaced", "added"}, MESSAGES)
    happened += sum([killed.kill(*each, "destroy", "orders", "--allow-data-loss") for each in kills[2]])
    project.succeed("destroy", "orders", "--allow-data-loss", *patient)
    killed.check_gone()
    return happened


def test_a_command_finishes_what_killed_ones_began(provisioned: Make) -> None:
    killed = Killed(provisioned(""), "killed")
    kills: Sequence[Sequence[tuple[Victim, int]]] = (
        [("provider", 1)],
        [("engine", 3), ("host", 2)],
        [("all", 3)],
    )
    assert life(killed, "entities", kills) == len(VICTIMS)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("mode", ["arm", "entities"])
@pytest.mark.parametrize("victim", VICTIMS)
def test_a_command_finishes_after_a_kill_at_any_step(mode: str, victim: Victim, provisioned: Make) -> None:
    killed = Killed(provisioned(""), f"killed-{mode}-{victim}")
    after = 1
    while life(killed, mode, [[(victim, after)]] * 3):
        after += 1
    assert after > 6, "each command reports the start and the end of several resources"
