"""What the chart renders is what Kubernetes and the Prometheus operator accept, and fits together."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.conftest import ROOT
from tests.e2e.helm.chart import (
    CHART,
    VALUES,
    container_of,
    decoded,
    helm,
    needs_helm,
    of_kind,
    pod_of,
    rendered,
    values,
)

pytestmark = needs_helm
every_file = pytest.mark.parametrize("file", VALUES, ids=lambda file: file.name.removesuffix("-values.yaml"))


def test_there_are_values_for_each_state_backend() -> None:
    backends = {yaml.safe_load(file.read_text()).get("state", {}).get("backend", "azblob") for file in VALUES}
    assert backends == {"azblob", "postgres", "mssql", "file"}


@every_file
def test_kubernetes_decodes_every_document_strictly(file: Path) -> None:
    names = {(document["kind"], document["metadata"]["name"]) for document in rendered(file)}
    tasks = yaml.safe_load(file.read_text())["tasks"]
    assert {name for kind, name in names if kind == "Deployment"} == {f"retail-dstream-{task}" for task in tasks}


@every_file
def test_helm_lint_finds_nothing(file: Path) -> None:
    done = helm("lint", file, "--strict")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not re.search(r"\[(WARNING|ERROR)\]", done.stdout)


@pytest.mark.parametrize(
    ("before", "after", "error"),
    [
        ("  replicas: 2", "  replica: 2", 'unknown field "spec.replica"'),
        ("  replicas: 2", "  replicas: two", "cannot unmarshal string"),
        ("runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot != true"),
        ("drop: [ALL]", "drop: [NET_RAW]", "unrestricted capabilities"),
        ("kind: ConfigMap", "kind: ConfigMaps", 'no kind "ConfigMaps"'),
    ],
)
def test_the_check_refuses_what_kubernetes_would(before: str, after: str, error: str) -> None:
    manifests = helm("template", values("minimal")).stdout
    assert before in manifests
    done = decoded(manifests.replace(before, after))
    assert done.returncode == 1
    assert error in done.stderr


def test_the_prometheus_operator_decodes_the_service_monitor() -> None:
    (monitor,) = of_kind(rendered(values("everything")), "ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    manifests = helm("template", values("everything")).stdout
    assert 'unknown field "spec.endpoints[0].every"' in decoded(manifests.replace("interval: 30s", "every: 30s")).stderr


def test_each_selector_selects_the_pods_of_its_task_or_release() -> None:
    documents = rendered(values("azblob"), "--set", "serviceMonitor.enabled=true,networkPolicy.enabled=true")
    pods = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"]
        for each in of_kind(documents, "Deployment")
    }

    def selected(labels: dict[str, str]) -> set[str]:
        assert labels
        return {name for name, own in pods.items() if labels.items() <= own.items()}

    for kind in ("Deployment", "PodDisruptionBudget"):
        found = {
            each["metadata"]["name"]: selected(each["spec"]["selector"]["matchLabels"])
            for each in of_kind(documents, kind)
        }
        assert found == {name: {name} for name in pods}
    for deployment in of_kind(documents, "Deployment"):
        for constraint in pod_of(deployment)["topologySpreadConstraints"]:
            assert selected(constraint["labelSelector"]["matchLabels"]) == {deployment["metadata"]["name"]}
    (policy,), (service,), (monitor,) = (
        of_kind(documents, kind) for kind in ("NetworkPolicy", "Service", "ServiceMonitor")
    )
    assert selected(policy["spec"]["podSelector"]["matchLabels"]) == {*pods}
    assert selected(service["spec"]["selector"]) == {*pods}
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]


def test_prometheus_names_the_job_as_the_alerts_do() -> None:
    documents = rendered(values("everything"))
    (monitor,), (service,) = of_kind(documents, "ServiceMonitor"), of_kind(documents, "Service")
    job = service["metadata"]["labels"][monitor["spec"]["jobLabel"]]
    assert f'up{{job="{job}"}}' in (ROOT / "examples/observability/alerts.yml").read_text()


def test_without_peers_nobody_may_connect_to_a_pod() -> None:
    """An empty `from` would allow everybody (k8s.io/api/networking/v1, NetworkPolicyIngressRule)."""
    (policy,) = of_kind(rendered(values("minimal"), "--set", "networkPolicy.enabled=true"), "NetworkPolicy")
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    assert not policy["spec"].get("ingress")


def test_a_file_backend_has_one_pod_and_one_kept_volume_per_task() -> None:
    documents = rendered(values("file"), "--set-json", 'tasks={"a":{},"b":{"replicas":0}}')
    claims = of_kind(documents, "PersistentVolumeClaim")
    assert {each["metadata"]["name"] for each in claims} == {"retail-dstream-a-state", "retail-dstream-b-state"}
    assert all(each["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for each in claims)
    assert [each["spec"]["replicas"] for each in of_kind(documents, "Deployment")] == [1, 0]
    assert all(each["spec"]["strategy"] == {"type": "Recreate"} for each in of_kind(documents, "Deployment"))
    assert not of_kind(documents, "PodDisruptionBudget")


def test_settings_of_a_task_add_to_those_of_all_and_win() -> None:
    deployments = of_kind(rendered(values("everything")), "Deployment")
    orders, audit = (
        next(each for each in deployments if each["metadata"]["name"].endswith(name)) for name in ("orders", "audit")
    )
    variables = {each["name"]: each.get("value") for each in container_of(orders)["env"]}
    assert variables.keys() >= {"DSTREAM_LOG_LEVEL", "DSTREAM_VAR_env", "DSTREAM_STATE_URL", "MSSQL_CONNECTION_STRING"}
    assert "MSSQL_CONNECTION_STRING" not in {each["name"] for each in container_of(audit)["env"]}
    assert (orders["spec"]["replicas"], audit["spec"]["replicas"]) == (3, 0)
    assert container_of(orders)["envFrom"] == [{"secretRef": {"name": "service-bus"}}]


def test_pods_are_replaced_when_the_configuration_changes_and_only_then() -> None:
    def template(*flags: str) -> Any:
        return of_kind(rendered(values("postgres"), *flags), "Deployment")[0]["spec"]["template"]

    assert template() == template("--set", "networkPolicy.enabled=true")
    assert template() != template("--set", "config.files.tables\\.txt=dbo.Orders")


def test_workload_identity_marks_pods_and_names_the_identity() -> None:
    """https://azure.github.io/azure-workload-identity/docs/topics/service-account-labels-and-annotations.html"""
    documents = rendered(values("azblob"))
    (account,) = of_kind(documents, "ServiceAccount")
    assert account["metadata"]["annotations"]["azure.workload.identity/client-id"]
    for deployment in of_kind(documents, "Deployment"):
        assert deployment["spec"]["template"]["metadata"]["labels"]["azure.workload.identity/use"] == "true"
        assert pod_of(deployment)["serviceAccountName"] == account["metadata"]["name"]


@every_file
def test_no_pod_gets_a_token_for_kubernetes(file: Path) -> None:
    assert all(not pod_of(each)["automountServiceAccountToken"] for each in of_kind(rendered(file), "Deployment"))


def test_the_chart_has_the_version_of_dstream() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_every_setting_has_a_default_a_row_in_the_readme_and_an_example() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)

    def settings(properties: dict[str, Any], prefix: str = "") -> set[str]:
        inner = {name: each.get("properties") for name, each in properties.items()}
        nested = [settings(each, f"{prefix}{name}.") for name, each in inner.items() if each]
        return set().union({prefix + name for name, each in inner.items() if not each}, *nested)

    known = settings({name: each for name, each in schema["properties"].items() if name != "global"})

    def used(file: Path) -> set[str]:
        document = yaml.safe_load(file.read_text())
        return {name for name in known if _has(document, name)}

    rows = " ".join(re.findall(r"^\| ([^|]+) \|", (CHART / "README.md").read_text(), re.M))
    assert set(re.findall(r"`([a-zA-Z.]+)`", rows)) == known
    assert used(CHART / "values.yaml") == known
    assert set().union(*map(used, VALUES)) == known


def _has(document: Any, name: str) -> bool:
    for part in name.split("."):
        if not isinstance(document, dict) or part not in document:
            return False
        document = document[part]
    return True


def test_the_values_of_the_guide_work(tmp_path: Path) -> None:
    guide = (ROOT / "docs/operations/deploy.md").read_text()
    (tmp_path / "values.yaml").write_text(guide.partition("```yaml\n")[2].partition("```")[0])
    (tmp_path / "dstream.hcl").write_text('dstream {\n  state { backend = "postgres" }\n}\n')
    documents = rendered(tmp_path / "values.yaml", "--set-file", f"config.hcl={tmp_path}/dstream.hcl")
    (deployment,) = of_kind(documents, "Deployment")
    assert f"deployment/{deployment['metadata']['name']}\n" in guide
