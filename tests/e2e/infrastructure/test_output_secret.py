"""`output_secret`: production hosts publish with neither the engine nor the record; a new key reaches them."""

from __future__ import annotations

import base64
import os
import re
import shutil
from pathlib import Path

import pytest

from tests.e2e.infrastructure.cases import ARM, Case, Make, Provisioned, task
from tests.integration.key_vault.stand_in import StandIn
from tests.running import wait_until


def test_run_reads_what_init_wrote_to_a_key_vault(provisioned: Make, tmp_path_factory: pytest.TempPathFactory) -> None:
    vault = StandIn(tmp_path_factory.mktemp("vault"), keeps=True)
    try:
        case = Case("arm", "queue", "output-secret")
        name = "azurekeyvault://retail/orders-send"
        project = provisioned(case.hcl(more=f'      connection    = "stack"\n      output_secret = "{name}"\n'))
        project.dstream.env.update(vault.env)

        early = project.dstream("run", "orders")
        assert (early.returncode, "dstream init" in early.stderr) == (3, True), early.stderr

        done = project.succeed("init", "orders", "--yes")
        assert re.search(rf"\+ secret +{name}", done)
        connection_string = first = vault.written["orders-send"]
        assert "SharedAccessKeyName=dstream-send;" in connection_string
        assert project.summary("plan", "orders") == {"same": 3}

        new_key = regenerate_key(project, case.name)
        done += project.succeed("status", "orders")
        assert re.search(r"~ output +connection_string", done), done
        assert project.summary("init", "orders", "--yes") == {"same": 2, "update": 2}
        connection_string = vault.written["orders-send"]
        assert f"SharedAccessKey={new_key};" in connection_string

        record, elsewhere = (Path(project.dstream.cwd, each) for each in (".dstream", "elsewhere"))
        record.rename(elsewhere)
        project.dstream.env["DSTREAM_PULUMI"] = "/nowhere"
        project.succeed("run", "orders")
        assert len(project.sandbox.receive(case.name, 5)) == 5

        del project.dstream.env["DSTREAM_PULUMI"]
        shutil.rmtree(record, ignore_errors=True)
        elsewhere.rename(record)
        done += project.succeed("destroy", "orders", "--yes", "--allow-data-loss")
        assert (vault.written, vault.deleted) == ({}, {"orders-send": connection_string})
        keys = [each.partition("SharedAccessKey=")[2].partition(";")[0] for each in (first, connection_string)]
        assert not [key for key in keys if key in done]
    finally:
        vault.stop()


def test_a_run_continues_with_a_key_that_was_regenerated(provisioned: Make) -> None:
    project = provisioned(task(f'{ARM}      queue = "new-key"\n      connection = "stack"\n', count=100_000))
    project.succeed("init", "orders", "--yes")
    with project.dstream.running("run", "orders") as run:
        wait_until(lambda: project.sandbox.active_messages("new-key"), "rows arrive")
        regenerate_key(project, "new-key")
        project.succeed("init", "orders", "--yes")
        project.sandbox.fault(kind="drop", entity="new-key", times=1)
        run.says("servicebus.key_refused")
        before = project.sandbox.active_messages("new-key")
        wait_until(lambda: project.sandbox.active_messages("new-key") > before, f"more arrive:\n{run.stderr}")
        run.process.terminate()
        assert run.ended() == 0, run.stderr
    values = dict.fromkeys(each.event["data"]["value"] for each in project.sandbox.receive("new-key", before))
    assert list(values) == [*range(1, len(values) + 1)]


def regenerate_key(project: Provisioned, queue: str) -> str:
    """As in the portal: the key of the queue's first authorization rule is another one."""
    new_key = base64.b64encode(os.urandom(32)).decode()
    with project.administration() as administration:
        properties = administration.get_queue(queue)
        properties.authorization_rules[0].primary_key = new_key
        administration.update_queue(properties)
    return new_key
