"""The address of Azure Resource Manager is the one that azure-native uses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dstream_stacks.azure_cloud import manager_endpoint


@pytest.mark.parametrize(
    ("environ", "endpoint"),
    [
        ({}, "https://management.azure.com"),
        ({"ARM_ENVIRONMENT": "usgovernment"}, "https://management.usgovcloudapi.net"),
        ({"AZURE_ENVIRONMENT": "AzureChinaCloud"}, "https://management.chinacloudapi.cn"),
    ],
)
def test_the_environment_chooses_the_cloud(environ: dict[str, str], endpoint: str) -> None:
    assert manager_endpoint(environ) == endpoint


@pytest.mark.parametrize(
    ("answer", "endpoint"), [({"resourceManager": "https://arm.local/"}, "https://arm.local"), ([], "")]
)
def test_a_metadata_host_names_the_endpoint(answer: object, endpoint: str, tmp_path: Path) -> None:
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "endpoints?api-version=2022-09-01").write_text("\ufeff" + json.dumps(answer))
    environ = {"ARM_METADATA_HOSTNAME": tmp_path.as_uri(), "ARM_ENVIRONMENT": "china"}
    if not endpoint:
        with pytest.raises(ValueError, match="does not name Azure Resource Manager"):
            manager_endpoint(environ)
        return
    assert manager_endpoint(environ) == endpoint
