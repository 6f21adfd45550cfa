"""Two hosts share a record in a blob container: one lock, and no resource is lost, whatever is killed."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dstream.errors import ConfigError
from dstream.infra.engine import locks
from dstream.infra.engine.unlock import release
from dstream.protocol.messages import Infrastructure
from tests.integration.infra.azurite import Azurite, Container, running_azurite
from tests.integration.infra.driving import Stage, ended
from tests.integration.infra.test_kills import engines_of
from tests.integration.key_ring import SECRETS_PROVIDER
from tests.running import wait_until

Hosts = tuple[Stage, Stage]


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with running_azurite(tmp_path_factory.mktemp("azurite")) as azurite:
        yield azurite


@pytest.fixture
def container(azurite: Azurite) -> Container:
    return azurite.container()


@pytest.fixture
def hosts(container: Container, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hosts:
    """Two project folders with nothing in common but the record and the cloud."""
    env = {**container.azurite.env, "PULUMI_CONFIG_PASSPHRASE": "of the tests"}
    for name, value in env.items():
        monkeypatch.setenv(name, value)  # for `release`, which runs in this process
    first = Stage(tmp_path / "first", env=env, backend_url=container.url, queues={"q1": {"size": 1}, "q2": {"size": 2}})
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "cloud").symlink_to(first.cloud)
    second = Stage(tmp_path / "second", env=env, backend_url=container.url, queues=first.queues)
    return first, second


def infrastructure(stage: Stage) -> Infrastructure:
    return Infrastructure("orders", "dev", str(stage.infra / "orders" / "dev"), stage.backend_url)


def recorded(container: Container) -> list[str]:
    resources = json.loads(container.read(".pulumi/stacks/orders/dev.json"))["checkpoint"]["latest"]["resources"]
    return sorted(each["urn"].rpartition("::")[2] for each in resources if each["type"].startswith("cloud:"))


def lock_blobs(container: Container) -> list[str]:
    return container.names(".pulumi/locks/")


def test_two_hosts_share_one_lock(hosts: Hosts, container: Container) -> None:
    first, second = hosts
    gate = first.cloud / "gate"
    first.faults({"op": "create", "name": "q1", "when": "before", "do": "wait", "file": "gate"})
    working = first.start("init")
    wait_until(gate.with_suffix(".reached").exists, "the creation of q1 to start")

    error = second("init").error
    assert (error["code"], error["kind"]) == ("infra.locked", "locked")
    assert f"@{socket.gethostname()} (pid " in error["message"]
    assert "dstream unlock" in error["hint"]
    with pytest.raises(ConfigError, match="cannot be listed"):
        locks.holders(infrastructure(second), os.environ)

    waiting = second.start("init", lock_timeout_s=60)
    while b"waiting for" not in (told := waiting.stdout.readline()):
        assert told
    gate.touch()
    assert ended(working).ops == {"q1": "create", "q2": "create"}
    assert ended(waiting).ops == {"q1": "same", "q2": "same"}
    assert sorted(first.world.calls) == ["create q1", "create q2"]
    assert (recorded(container), lock_blobs(container)) == (["q1", "q2"], [])


def test_a_missing_container_and_a_wrong_key_are_named(hosts: Hosts) -> None:
    first, second = hosts
    first.backend_url = f"{second.backend_url}-missing"
    assert first("plan").error["code"] == "infra.no_backend"
    second.env = {**second.env, "AZURE_STORAGE_KEY": "AAAA"}
    error = second("plan").error
    assert (error["code"], error["kind"]) == ("infra.backend_denied", "auth")


@pytest.mark.soak  # test_lifecycle.py proves the same with a folder
def test_a_plan_on_the_second_host_sees_the_first_ones_record(hosts: Hosts) -> None:
    first, second = hosts
    first("init")
    plan = second("plan")
    assert plan.ops == {"q1": "same", "q2": "same"}
    first.queues = second.queues = {"q1": {"size": 5}, "q2": {"size": 2}}
    options: dict[str, Any] = {"expect": second("plan").document, "exact": True}
    assert first("init").ops["q1"] == "update"
    assert second("init", **options).error["code"] == "plan.stale"
    assert second("destroy").ops == {"q1": "delete", "q2": "delete"}
    assert first("plan").ops == {"q1": "create", "q2": "create"}


@pytest.mark.parametrize("rounds", [5, pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
def test_no_resource_is_lost_when_commands_are_killed_at_random(
    rounds: int, hosts: Hosts, container: Container
) -> None:
    for host in hosts:
        host.secrets_provider = SECRETS_PROVIDER  # test_two_hosts_share_one_lock has a passphrase
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    endings: list[Callable[[Stage, str, str], None]] = [interrupt, kill]
    for number in range(rounds):
        one, other = chance.sample(hosts, 2)
        name = f"r{number}"
        updated = chance.choice(sorted(one.queues))
        queues = {each: one.queues[each] for each in sorted(one.queues)[-3:]}  # the oldest ones are deleted
        queues |= {updated: {"size": number}, name: {"size": 1}}
        one.queues = other.queues = queues
        endings[number % 2](one, name, chance.choice(["before", "after"]))
        wait_until(lambda at=one: not engines_of(at), "every engine to exit")

        if lock_blobs(container):
            release(infrastructure(other), os.environ)
        assert set(other("init").ops) >= set(queues), seed
        assert set(one.real) == set(queues), seed
        assert recorded(container) == sorted(queues), seed
        assert {each: one.real[each]["size"] for each in queues} == {each: queues[each]["size"] for each in queues}, (
            seed
        )
    assert lock_blobs(container) == []
    created = [call for call in hosts[0].world.calls if call.startswith("create")]
    assert len(created) == len(set(created)), "something was created twice"


def interrupt(stage: Stage, name: str, _: str) -> None:
    """Press Ctrl-C while the creation is under way."""
    gate = stage.cloud / f"gate-{name}"
    stage.faults({"op": "create", "name": name, "when": "before", "do": "wait", "file": gate.name})
    process = stage.start("init")
    wait_until(gate.with_suffix(".reached").exists, f"the creation of {name} to start")
    process.send_signal(signal.SIGINT)
    gate.touch()
    assert ended(process).code >= 0


def kill(stage: Stage, name: str, when: str) -> None:
    """Kill the engine and the provider."""
    stage.faults({"op": "create", "name": name, "when": when, "do": "kill-both"})
    process = stage.start("init")
    assert process.wait() == -signal.SIGKILL
    process.close()
