"""Reads the record of a file backend without the engine, whose start takes 0.2 s of CPU time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dstream.infra.engine.environment import StackLocation

_VERSION = 3
"""The version that the tested engine writes (pulumi/sdk/go/common/apitype/core.go)."""


def read_record(place: StackLocation) -> dict[str, Any] | None:
    """Return what `pulumi stack export` would print (pulumi/pkg/backend/diy, ExportDeployment).

    None if only the engine can read the record: a remote backend, a compressed or missing file, another version.
    """
    file = place.record_file
    if file is None or any(file.with_name(f"{file.name}{ending}").exists() for ending in (".gz", ".zst")):
        return None
    try:
        saved = json.loads(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    deployment = (saved.get("checkpoint") or {}).get("latest")
    if saved.get("version") != _VERSION or saved.get("features") or not deployment:
        return None
    return {"version": _VERSION, "deployment": deployment}
