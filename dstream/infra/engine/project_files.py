"""The files that the engine expects in a stack's work directory: its project and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dstream.infra.engine.environment import StackLocation
from dstream.private_files import make_private_folder, replace_private


def write_project(place: StackLocation) -> None:
    make_private_folder(place.work_dir)
    if place.folder is not None:
        make_private_folder(place.folder)
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
    replace_private(file, text.encode())
