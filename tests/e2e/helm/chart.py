"""The chart of examples/helm, rendered by Helm and decoded by Kubernetes' types: what tools/install-helm builds."""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

CHART = ROOT / "examples" / "helm" / "dstream"
VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
_BIN = Path(
    subprocess.run([ROOT / "tools/install-helm", "--path"], capture_output=True, text=True, check=True).stdout.strip()
)

needs_helm = pytest.mark.skipif(not (_BIN / "helm").exists(), reason="needs Go; `make chart` builds Helm with it")

Document = dict[str, Any]


def values(name: str) -> Path:
    return CHART / "ci" / f"{name}-values.yaml"


def helm(command: str, file: Path | None, *flags: str) -> subprocess.CompletedProcess[str]:
    """`helm template` or `helm lint` with the chart, in a folder without a configuration of Helm or Kubernetes."""
    words = ["template", "retail", str(CHART)] if command == "template" else [command, str(CHART)]
    chosen = ["--values", str(file)] if file else []
    env = {"HOME": "/nonexistent", "PATH": ""}
    return subprocess.run(
        [_BIN / "helm", *words, *chosen, *flags], env=env, capture_output=True, text=True, check=False, timeout=120
    )


def decoded(manifests: str) -> subprocess.CompletedProcess[str]:
    """Decode YAML strictly; stdout has one JSON document per line."""
    return subprocess.run(
        [_BIN / "helm-check"], input=manifests, capture_output=True, text=True, check=False, timeout=120
    )


@functools.cache
def rendered(file: Path, *flags: str) -> tuple[Document, ...]:
    """The documents that Kubernetes would get."""
    done = helm("template", file, *flags)
    assert done.returncode == 0, done.stderr
    accepted = decoded(done.stdout)
    assert accepted.returncode == 0, accepted.stderr
    return tuple(json.loads(line) for line in accepted.stdout.splitlines())


def of_kind(documents: tuple[Document, ...], kind: str) -> list[Document]:
    return [document for document in documents if document["kind"] == kind]


def pod_of(deployment: Document) -> Document:
    pod: Document = deployment["spec"]["template"]["spec"]
    return pod


def container_of(deployment: Document) -> Document:
    (container,) = pod_of(deployment)["containers"]
    return dict(container)
