"""`output_secret`: production hosts publish with neither the engine nor the record; a new key reaches them."""

from __future__ import annotations

import base64
import os
import re
import shutil
from pathlib import Path

import pytest

from tests.e2e.infrastructure.cases import Case, Make
from tests.integration.key_vault.stand_in import StandIn


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

        new_key = base64.b64encode(os.urandom(32)).decode()
        with project.administration() as administration:
            queue = administration.get_queue(case.name)
            queue.authorization_rules[0].primary_key = new_key
            administration.update_queue(queue)
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
