"""The alerts and the dashboard of examples/observability, on a real Prometheus that scrapes a real run."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from dstream_sandbox import workload

from tests.conftest import ROOT
from tests.e2e.prometheus import Prometheus, executable, scraping
from tests.e2e.test_metrics import base_url, get
from tests.running import DStream, RunningCommand, Sandbox, wait_until

EXAMPLES = ROOT / "examples" / "observability"
ALERTS: list[dict[str, Any]] = yaml.safe_load((EXAMPLES / "alerts.yml").read_text())["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((EXAMPLES / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

HELLO = '{"dstream":"hello","protocol":1,"role":"%s","name":"%s","version":"1","capabilities":["checkpoint","ack"]}'
INPUT = f"""#!/bin/sh
echo '{HELLO % ("input", "late")}'
read -r line_1; read -r welcome
echo '{{"status":"ready"}}'
echo '{{"dstream":"heartbeat","phase":"stream","lag_ms":700000}}'
while read -r line; do :; done
"""
CRASHING = f"""#!/bin/sh
echo '{HELLO % ("input", "crashing")}'
read -r line_1; read -r welcome
echo '{{"status":"ready"}}'
kill -9 $$
"""
FAILING = f"""#!/bin/sh
echo '{HELLO % ("input", "failing")}'
read -r line_1; read -r welcome
echo '{{"dstream":"error","code":"failing.permission","kind":"config","message":"no permission"}}'
exit 1
"""
STUCK = f"""#!/bin/sh
echo '{HELLO % ("output", "stuck")}'
read -r line_1
echo '{{"status":"ready"}}'
while read -r line; do :; done
"""
HCL = """
task "orders" {
  input {
    provider = "mssql_cdc"
    config {
      db_connection_string = env("MSSQL_CONNECTION_STRING")
      tables = ["dbo.Customers", "dbo.Orders", "dbo.OrderLines"]
    }
  }
  transform "filter" { where = metadata.TableName != "dbo.Customers" }
  output {
    provider = "servicebus"
    config {
      connection_string = env("ASB_CONNECTION_STRING")
      queue = "orders"
      on_error { refused = "dead_letter" }
      dead_letter { file = "rejected.jsonl" }
    }
  }
}
task "slow" {
  input {
    provider = "counter"
    config { interval = "1ms" }
  }
  output {
    provider = "servicebus"
    config {
      connection_string = env("ASB_CONNECTION_STRING")
      queue = "slow"
    }
  }
}
"""
SCRIPTED = """
task "%s" {
  restart {
    initial_delay = "%s"
    max_delay     = "%s"
    max_attempts  = 1000
  }
  input { %s }
  output { %s }
}
"""
CAUSES = {
    ("DStreamTaskFailed", "failing"),
    ("DStreamTaskNotReady", "waiting"),
    ("DStreamStalled", "stuck"),
    ("DStreamRestarting", "crashing"),
    ("DStreamLagHigh", "late"),
    ("DStreamTaskThrottled", "slow"),
    ("DStreamSendersThrottled", "slow"),
    ("DStreamTimeToLossShort", "orders"),
    ("DStreamTimeToLossCritical", "orders"),
    ("DStreamCaptureErrors", "orders"),
}
"""The alerts, with the tasks that cause them."""

COUNTER = 'provider = "counter"'
POLL_S = 0.25
"""As often as Prometheus scrapes."""
CONSOLE = 'provider = "console"'


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    if executable("promtool") is None:
        pytest.skip("Prometheus is not installed; `make tools` installs it on Debian")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One of its own, because its capture fails."""
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox")).start()
    yield sandbox
    sandbox.stop()


@pytest.fixture(scope="module")
def run(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCommand]:
    """Tasks of which each causes alerts, and one that has something for every panel."""
    folder = tmp_path_factory.mktemp("project")
    for name, script in {"late": INPUT, "crashing": CRASHING, "failing": FAILING, "stuck": STUCK}.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    tasks = [
        SCRIPTED % ("late", "1s", "1s", 'provider_path = "./late"', CONSOLE),
        SCRIPTED % ("crashing", "100ms", "1s", 'provider_path = "./crashing"', CONSOLE),
        SCRIPTED % ("waiting", "1h", "1h", 'provider_path = "./crashing"', CONSOLE),
        SCRIPTED % ("failing", "1s", "1s", 'provider_path = "./failing"', CONSOLE),
        SCRIPTED % ("stuck", "1s", "1s", COUNTER, 'provider_path = "./stuck"'),
    ]
    (folder / "dstream.hcl").write_text(HCL + "".join(tasks))
    sandbox.create_queue("orders")
    sandbox.create_queue("slow")
    sandbox.fault(kind="throttle", rate=5, entity="slow")
    with closing(sandbox.connect()) as connection:
        workload.create_tables(connection)
    sandbox.sql("EXEC sys.sp_cdc_change_job @job_type = N'cleanup', @retention = 180")
    sandbox.sql("EXEC sys.sp_sandbox_capture_error @number = 1105, @message = N'The filegroup is full.'")
    with DStream(folder, sandbox.env).running("run", "--all", "--metrics", "127.0.0.1:0") as run:
        run.says("metrics.listening")
        yield run


@pytest.fixture(scope="module")
def prometheus(run: RunningCommand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Evaluates the rules with the same thresholds over 15 seconds, and without waiting."""
    rules = (EXAMPLES / "alerts.yml").read_text()
    rules = re.sub(r"\[\d+[mh]\]", "[15s]", re.sub(r"for: \d+m", "for: 1s", rules))
    with scraping(base_url(run).removeprefix("http://"), rules, tmp_path_factory.mktemp("prometheus")) as prometheus:
        yield prometheus


def promtool(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    path = executable("promtool")
    assert path is not None
    return subprocess.run([path, *arguments], cwd=EXAMPLES, input=stdin, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments",
    [("check", "rules", "alerts.yml"), ("check", "config", "prometheus.yml"), ("test", "rules", "alerts_test.yml")],
)
def test_promtool_accepts_the_examples(arguments: tuple[str, ...]) -> None:
    done = promtool(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_unit_test_and_a_runbook() -> None:
    tests = (EXAMPLES / "alerts_test.yml").read_text()
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs/operations/alerts.md").read_text(), re.M)
    runbooks = {alert["alert"]: alert["annotations"]["runbook"] for alert in ALERTS}
    assert [name for name in runbooks if name not in tests] == []
    anchors = {f"docs/operations/alerts.md#{heading.lower()}" for heading in headings}
    assert {*runbooks.values()} == anchors


def test_promtool_accepts_the_metrics_of_a_run(run: RunningCommand, prometheus: Prometheus) -> None:
    wait_until(lambda: prometheus.query("dstream_provider_messages_sent_total"), "the metrics of both providers")
    done = promtool("check", "metrics", stdin=get(f"{base_url(run)}/metrics")[1])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_panel_shows_data_of_a_run(run: RunningCommand, prometheus: Prometheus, sandbox: Sandbox) -> None:
    with closing(sandbox.connect()) as connection:
        load = workload.Load(connection)
        for panel in PANELS:
            for target in panel["targets"]:
                query = target["expr"].replace("$__rate_interval", "30s").replace('"$task"', '".*"')

                def shown(query: str = query) -> bool:
                    load.run(1)
                    return any(sample["value"][1] != "NaN" for sample in prometheus.query(query))

                wait_until(shown, f"{panel['title']}: {query}\n{run.stderr[-2000:]}", poll_s=POLL_S)


def test_each_alert_fires_for_its_cause(prometheus: Prometheus, run: RunningCommand) -> None:
    wait_until(lambda: prometheus.firing() >= CAUSES, f"all alerts fire\n{run.stderr[-2000:]}", poll_s=POLL_S)
    assert {name for name, _ in CAUSES} == {alert["alert"] for alert in ALERTS} - {"DStreamDown", "DStreamRowsRejected"}


def test_a_refused_row_fires_an_alert(prometheus: Prometheus, run: RunningCommand, sandbox: Sandbox) -> None:
    wait_until(lambda: prometheus.query('dstream_rows_rejected_total{task="orders"}'), "a figure to compare with")
    sandbox.fault(kind="reject", condition="com.microsoft:argument-error", entity="orders", times=20)
    with closing(sandbox.connect()) as connection:
        load = workload.Load(connection)

        def fires() -> bool:
            load.run(1)
            return ("DStreamRowsRejected", "orders") in prometheus.firing()

        wait_until(fires, f"{prometheus.firing()}\n{run.stderr[-2000:]}", poll_s=POLL_S)


def test_a_host_that_is_gone_fires_an_alert(tmp_path: Path) -> None:
    with scraping(
        "127.0.0.1:9", (EXAMPLES / "alerts.yml").read_text().replace("for: 2m", "for: 1s"), tmp_path
    ) as server:
        wait_until(lambda: ("DStreamDown", "") in server.firing(), "DStreamDown", poll_s=POLL_S)
