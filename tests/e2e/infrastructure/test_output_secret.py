"""`output_secret`: production hosts publish with neither the engine nor the record."""

from __future__ import annotations

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
        connection_string = vault.written["orders-send"]
        assert "SharedAccessKeyName=dstream-send;" in connection_string
        assert project.summary("plan", "orders") == {"same": 3}

        vault.written["orders-send"] = "Endpoint=sb://elsewhere"
        assert project.summary("init", "orders", "--yes") == {"same": 2, "update": 1}
        assert vault.written["orders-send"] == connection_string

        shutil.rmtree(Path(project.dstream.cwd, ".dstream"))
        project.dstream.env["DSTREAM_PULUMI"] = "/nowhere"
        project.succeed("run", "orders")
        assert len(project.sandbox.receive(case.name, 5)) == 5
        key = connection_string.partition("SharedAccessKey=")[2].partition(";")[0]
        assert key not in done
    finally:
        vault.stop()
