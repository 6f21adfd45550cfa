"""The files of an artifact."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from dstream.errors import ConfigError
from dstream.registry import binaries_in, file_to_push, parse_reference
from dstream.registry.artifact import manifest_of

REFERENCE = parse_reference("ghcr.io/org/tides:v1")
FILES = ("plugin.linux_amd64", "plugin.windows_amd64.exe", "provider.json")
BY_ORAS = """
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.dstream.provider",
"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"data":"e30="},
"layers":[
{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:13f6adc5c4fcd2027b67de8df9ee6bec26acbc565128d04b5344cbee048ba050","size":832,"annotations":{"org.opencontainers.image.title":"plugin.linux_amd64"}},
{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:9b8db510ef42b8ed54a3712636fda55a4f8cfcd5493e20b74ab00cd4f3979f2d","size":2,"annotations":{"org.opencontainers.image.title":"plugin.windows_amd64.exe"}},
{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356","size":3,"annotations":{"org.opencontainers.image.title":"provider.json"}}],
"annotations":{"org.opencontainers.image.created":"2026-11-30T07:20:09Z"}}
"""
"""What ORAS 1.3.6 pushed, with the flags of the original DStream's scripts/push.sh."""


def test_binaries_pushed_with_oras_are_found() -> None:
    assert binaries_in(BY_ORAS.encode(), REFERENCE) == {
        "linux_amd64": "sha256:13f6adc5c4fcd2027b67de8df9ee6bec26acbc565128d04b5344cbee048ba050",
        "windows_amd64": "sha256:9b8db510ef42b8ed54a3712636fda55a4f8cfcd5493e20b74ab00cd4f3979f2d",
    }


def test_a_manifest_has_the_layout_that_oras_writes(tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).write_text(name)
    made = json.loads(manifest_of([file_to_push(str(tmp_path / name)) for name in FILES], {}))
    by_oras = json.loads(BY_ORAS)
    del by_oras["annotations"], by_oras["config"]["data"]
    for layer, name in zip(by_oras["layers"], FILES, strict=True):
        layer |= {"digest": f"sha256:{hashlib.sha256(name.encode()).hexdigest()}", "size": len(name)}
    assert made == by_oras


@pytest.mark.parametrize(
    "layer",
    [
        {"digest": "sha256:1", "annotations": {"org.opencontainers.image.title": "plugin.linux_amd64"}},
        {"digest": f"sha256:{'0' * 64}"},
        {"digest": f"sha256:{'0' * 64}", "annotations": {"org.opencontainers.image.title": "../plugin.linux_amd64"}},
    ],
)
def test_other_layers_are_no_binaries(layer: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        binaries_in(json.dumps({"layers": [layer]}).encode(), REFERENCE)
    assert caught.value.code == "registry.not_a_provider"


def test_the_platform_of_a_file_is_required(tmp_path: Path) -> None:
    (tmp_path / "tides").write_text("x")
    assert file_to_push(f"windows_amd64={tmp_path / 'tides'}").title == "plugin.windows_amd64.exe"
    for text in (str(tmp_path / "tides"), "linux_amd64=nowhere", f"Linux={tmp_path / 'tides'}"):
        with pytest.raises(ConfigError) as caught:
            file_to_push(text)
        assert caught.value.code == "registry.bad_file"
