"""What a pod of the chart would do, done by `dstream` itself: its command line, its probes, its stop."""

from __future__ import annotations

import os
import signal
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from dstream.cli.commands.run import run
from dstream.host import Job
from tests.e2e.helm.chart import VALUES, Document, container_of, needs_helm, of_kind, pod_of, rendered, values
from tests.e2e.test_metrics import base_url, get
from tests.running import DStream, wait_until

pytestmark = needs_helm

SECRETS = {
    "ASB_CONNECTION_STRING": "Endpoint=sb://sb.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=c2VjcmV0",
    "MSSQL_CONNECTION_STRING": "Server=sql.example.com;Database=retail;UID=dstream;PWD=secret;Encrypt=yes",
}
WITH_FILE = [each for each in VALUES if "existingConfigMap" not in each.read_text()]


def project(documents: tuple[Document, ...], folder: Path) -> Path:
    """Write the files of the ConfigMap into the folder."""
    (config,) = of_kind(documents, "ConfigMap")
    for name, text in config["data"].items():
        (folder / name).write_text(text)
    return folder


def environment(container: Document) -> dict[str, str]:
    """The variables of the container, with secrets that have the right form."""
    variables = {each["name"]: each.get("value", SECRETS.get(each["name"], "secret")) for each in container["env"]}
    return {"PATH": os.environ["PATH"], **variables}


def options(container: Document) -> dict[str, Any]:
    """The arguments, as `dstream run` parses them."""
    command, *arguments = container["args"]
    assert (container["command"], command) == (["dstream"], "run")
    return run.make_context("run", arguments).params


@pytest.mark.parametrize("file", WITH_FILE, ids=lambda file: file.name.removesuffix("-values.yaml"))
def test_the_configuration_is_valid_with_the_environment_of_each_pod(file: Path, tmp_path: Path) -> None:
    documents = rendered(file)
    for deployment in of_kind(documents, "Deployment"):
        container = container_of(deployment)
        mounted = {each["subPath"] for each in container["volumeMounts"] if each["name"] == "config"}
        assert mounted == {*of_kind(documents, "ConfigMap")[0]["data"]}
        done = DStream(project(documents, tmp_path), environment(container))("validate")
        assert done.returncode == 0, done.stderr
        assert f'task "{options(container)["tasks"][0]}"' in (tmp_path / "dstream.hcl").read_text()


@pytest.mark.parametrize("file", VALUES, ids=lambda file: file.name.removesuffix("-values.yaml"))
def test_run_knows_the_command_line_of_each_pod(file: Path) -> None:
    for deployment in of_kind(rendered(file), "Deployment"):
        container = container_of(deployment)
        wanted = options(container)
        ports = {each["name"]: each["containerPort"] for each in container["ports"]}
        assert wanted["metrics"][1] == ports["metrics"]
        assert wanted["standby"] is (not file.name.startswith("file-"))
        assert wanted["log_format"] == "json"


def test_a_pod_has_time_to_drain_before_it_is_killed() -> None:
    pod = pod_of(of_kind(rendered(values("minimal")), "Deployment")[0])
    drain_s = next(each.default for each in fields(Job) if each.name == "drain_deadline_s")
    assert pod["terminationGracePeriodSeconds"] >= drain_s + 30


def test_the_probes_of_a_pod_and_of_its_standby_succeed(tmp_path: Path) -> None:
    container = container_of(of_kind(rendered(values("minimal")), "Deployment")[0])
    probes = {name: container[name]["httpGet"]["path"] for name in ("livenessProbe", "readinessProbe")}
    assert {container[name]["httpGet"]["port"] for name in probes} == {"metrics"}
    folder = project(rendered(values("file")), tmp_path)
    file = folder / "dstream.hcl"
    file.write_text(file.read_text().replace("/state", str(tmp_path / "state")))
    arguments = [each.replace("0.0.0.0:9100", "127.0.0.1:0") for each in container["args"]]
    with DStream(folder).running(*arguments) as active:
        address = base_url(active)
        wait_until(lambda: get(address + probes["readinessProbe"])[0] == 200, "the pod is ready")
        assert get(address + probes["livenessProbe"])[0] == 200
        with DStream(folder).running(*arguments) as standby:
            standby.says("lease.waiting")
            address = base_url(standby)
            assert get(address + probes["readinessProbe"])[0] == 200
            assert get(address + probes["livenessProbe"])[0] == 200
            active.process.send_signal(signal.SIGTERM)
            assert active.ended() == 0, active.stderr
            standby.says("lease.taken")
            wait_until(lambda: get(address + probes["readinessProbe"])[0] == 200, "the standby is ready again")
            standby.process.send_signal(signal.SIGTERM)
            assert standby.ended() == 0, standby.stderr
