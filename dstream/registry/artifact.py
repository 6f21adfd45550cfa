"""The artifact that a provider is distributed as: one file per platform, in the layout of the original DStream.

An OCI image manifest of the artifact type `application/vnd.dstream.provider`. Each layer is one file, uncompressed and
named by its title: `plugin.linux_amd64`, `plugin.windows_amd64.exe`; platforms are Go's GOOS_GOARCH. Other files, such
as `provider.json`, are allowed and ignored. Sources: katasec/dstream, pkg/orasfetch/fetch.go;
katasec/dstream-ingester-mssql, scripts/push.sh; OCI image specification 1.1, "Guidelines for Artifact Usage".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from dstream.errors import ConfigError
from dstream.registry.reference import DIGEST, Reference

ARTIFACT_TYPE = "application/vnd.dstream.provider"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
EMPTY_CONFIG = b"{}"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_FILE_TYPE = "application/vnd.oci.image.layer.v1.tar"
"""What `oras push` writes for a file without a type, although it is no tar archive; `oras pull` goes by the title."""
_TITLE = "org.opencontainers.image.title"
_BINARY = re.compile(r"plugin\.(?P<platform>[a-z0-9]+_[a-z0-9]+)(?P<suffix>\.exe)?")
_PLATFORM = re.compile(r"[a-z0-9]+_[a-z0-9]+")
_DESCRIPTION = "provider.json"


@dataclass(frozen=True, slots=True)
class PushedFile:
    """A local file and its title in the artifact."""

    title: str
    path: Path
    digest: str
    size: int


class _Layer(msgspec.Struct, rename="camel"):
    digest: str
    annotations: dict[str, str] = {}


class _Manifest(msgspec.Struct, rename="camel"):
    layers: list[_Layer] = []


def binaries_in(manifest: bytes, reference: Reference) -> dict[str, str]:
    """Return the digest of each platform's binary. Raises ConfigError `registry.not_a_provider` if there is none."""
    try:
        layers = msgspec.json.decode(manifest, type=_Manifest).layers
    except msgspec.MsgspecError:
        layers = []
    found = {}
    for layer in layers:
        match = _BINARY.fullmatch(layer.annotations.get(_TITLE, ""))
        if match and DIGEST.fullmatch(layer.digest):
            found[match["platform"]] = layer.digest
    if not found:
        raise ConfigError(
            "registry.not_a_provider",
            f"{reference} is not a DStream provider: it has no file named plugin.PLATFORM",
            hint="Push it with `dstream provider push`. Container images are not providers.",
        )
    return found


def file_to_push(text: str) -> PushedFile:
    """Return the file of an argument: PLATFORM=FILE, or a path whose name is a title. Raises ConfigError
    `registry.bad_file`."""
    platform, separator, name = text.partition("=")
    if separator and _PLATFORM.fullmatch(platform):
        path, title = Path(name), f"plugin.{platform}{'.exe' if platform.startswith('windows_') else ''}"
    else:
        path = Path(text)
        title = path.name
        if not _BINARY.fullmatch(title) and title != _DESCRIPTION:
            raise ConfigError(
                "registry.bad_file",
                f'the platform of "{text}" is unknown',
                hint=f"Write PLATFORM=FILE, e.g. linux_amd64={text}, or name the file plugin.linux_amd64.",
            )
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return PushedFile(title, path, f"sha256:{digest}", file.seek(0, 2))
    except OSError as error:
        raise ConfigError("registry.bad_file", f"cannot read {path}: {error.strerror}") from error


def manifest_of(files: Sequence[PushedFile], annotations: Mapping[str, str]) -> bytes:
    """Return the manifest; equal files and annotations give equal bytes."""
    layers = [
        {"mediaType": _FILE_TYPE, "digest": each.digest, "size": each.size, "annotations": {_TITLE: each.title}}
        for each in files
    ]
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": ARTIFACT_TYPE,
        "config": {"mediaType": _EMPTY_TYPE, "digest": digest_of(EMPTY_CONFIG), "size": len(EMPTY_CONFIG)},
        "layers": layers,
    }
    if annotations:
        manifest["annotations"] = dict(annotations)
    return msgspec.json.encode(manifest, order="sorted")


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
