"""`lock_config` of the original DStream: two machines with the same file do not run its task at the same time."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.infra.azurite import ACCOUNT, KEY, Azurite, running_azurite
from tests.running import DStream, Sandbox

HCL = """
task "people-to-log" {
  type = "providers"
  input {
    provider = "mssql_cdc"
    config {
      db_connection_string = env("MSSQL_CONNECTION_STRING")
      poll_interval        = "1s"
      max_poll_interval    = "2s"
      tables               = ["People"]
      lock_config {
        type              = "azure_blob"
        connection_string = "{{ env "LOCK_CONNECTION_STRING" }}"
        container_name    = "locks"
      }
    }
  }
  output {
    provider = "console"
    config {
      outputFormat = "simple"
    }
  }
}
"""


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with running_azurite(tmp_path_factory.mktemp("azurite")) as azurite:
        yield azurite


def machine(folder: Path, env: dict[str, str]) -> DStream:
    folder.mkdir()
    (folder / "dstream.hcl").write_text(HCL)
    return DStream(folder, env)


def test_the_container_of_lock_config_keeps_a_second_machine_out(
    sandbox: Sandbox, azurite: Azurite, tmp_path: Path
) -> None:
    sandbox.sql("CREATE TABLE dbo.People (Id int NOT NULL PRIMARY KEY)")
    sandbox.sql("EXEC sys.sp_cdc_enable_table @source_schema = 'dbo', @source_name = 'People', @role_name = NULL")
    endpoint = f"BlobEndpoint=http://{azurite.host}/{ACCOUNT}"
    env = {
        **sandbox.env,
        "LOCK_CONNECTION_STRING": f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{endpoint};",
    }
    one, other = machine(tmp_path / "one", env), machine(tmp_path / "other", env)
    assert one("validate").returncode == 0
    with one.running("run", "people-to-log") as run:
        run.says("run.started")
        refused = other("run", "people-to-log")
        assert refused.returncode == 4, refused.stderr
        assert f"(pid {run.process.pid}, dstream run)" in refused.stderr
        assert "state.locked" in refused.stderr
        with other.running("run", "people-to-log", "--standby") as standby:
            standby.says("lease.waiting")
            run.process.send_signal(signal.SIGTERM)
            assert run.ended() == 0, run.stderr
            standby.says("lease.taken")
            standby.says("run.started")
            assert one("run", "people-to-log").returncode == 4
            standby.process.send_signal(signal.SIGTERM)
            assert standby.ended() == 0, standby.stderr
        for said in (run.stderr, standby.stderr, refused.stderr):
            assert KEY not in said


@pytest.mark.parametrize(
    ("connection_string", "code", "exit_code"),
    [
        ("AccountName=a;AccountKey=" + "c2VjcmV0" * 4, "state.unavailable", 6),
        ("nothing of the kind", "state.bad_url", 3),
    ],
)
def test_nothing_starts_without_the_lock(
    sandbox: Sandbox, tmp_path: Path, connection_string: str, code: str, exit_code: int
) -> None:
    env = {**sandbox.env, "LOCK_CONNECTION_STRING": f"{connection_string};BlobEndpoint=http://127.0.0.1:1/a;"}
    done = machine(tmp_path / "one", env)("run", "people-to-log")
    assert (done.returncode, code in done.stderr) == (exit_code, True), done.stderr
    assert "provider.ready" not in done.stderr
    assert "c2VjcmV0" not in done.stderr
