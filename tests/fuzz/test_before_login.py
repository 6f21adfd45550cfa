"""300 mutated inputs to each server before its login, and to the control socket; `make fuzz` sends 10,000."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz.before_login import Target, check, prelogin, require_health, say, targets
from tests.integration.sandbox_tds.raw_client import login_payload, packet


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Target]]:
    with targets(tmp_path_factory.mktemp("servers")) as found:
        yield {target.name: target for target in found}


@pytest.mark.parametrize("name", ["tds", "amqp", "admin", "control socket"])
def test_mutated_inputs_leave_the_server_as_it_was(servers: dict[str, Target], name: str) -> None:
    check(servers[name], range(300))


@pytest.mark.parametrize("federated", [False, True])
def test_half_of_a_surrogate_pair_in_a_login_is_refused(servers: dict[str, Target], federated: bool) -> None:
    login = packet(0x10, 1, login_payload("\ud800", federated=federated))
    assert servers["tds"].answer in say(servers["tds"], prelogin(2) + login)
    require_health(servers["tds"], 0)
