"""The files that the engine expects in a stack's work directory: its project and its settings."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dstream.infra.engine.environment import StackLocation


def write_project(place: StackLocation) -> None:
    place.work_dir.mkdir(parents=True, exist_ok=True)
    if place.folder is not None:
        place.folder.mkdir(parents=True, exist_ok=True)
    _write(place.work_dir / "Pulumi.yaml", {"name": place.project, "runtime": "python"})


def write_settings(place: StackLocation, encryption: Mapping[str, Any], provider_settings: Mapping[str, str]) -> None:
    """Write the stack's encryption settings (from its record, or unchanged) and the settings of its providers."""
    file = place.settings_file
    written = (yaml.safe_load(file.read_text()) or {}) if file.exists() else {}
    settings = {**written, **encryption}
    settings.pop("config", None)
    if provider_settings:
        settings["config"] = dict(provider_settings)
    if settings or file.exists():
        _write(file, settings)


def _write(file: Path, content: Mapping[str, Any]) -> None:
    """Write atomically, and only if the content differs: another command may be reading the file."""
    text = yaml.safe_dump(dict(content))
    if file.exists() and file.read_text() == text:
        return
    with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.name}.", delete=False) as fresh:
        fresh.write(text)
    os.replace(fresh.name, file)
