"""Reads and begins the record of a file backend without the engine, whose start takes 0.2 s of CPU time."""

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


def write_empty_record(place: StackLocation) -> None:
    """Create a stack without resources in a file backend that only this process uses, so that no lock is needed.

    The content is what the engine writes first when it creates a stack (pulumi/pkg/backend/diy/state.go).
    """
    file = place.record_file
    assert file is not None  # a file backend
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"version": _VERSION, "checkpoint": {"stack": place.full_name}}), encoding="utf-8")
