"""Settings that `status` and `destroy` ignore because they need an environment variable that is not set.

Both commands use the record, so a setting that only `run` needs must not block a clean-up. The provider's schema marks
such settings with `x-run-only`. Any other unset setting is an error, since it may identify what to delete.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dstream.cli.project import spec_of
from dstream.config import Project, ProviderBlock, Task
from dstream.errors import ConfigErrors
from dstream.host.provider.describe import introduce


def left_out(project: Project, task: Task) -> list[str]:
    """Return a message for each ignored setting of the output. Raises ConfigErrors for settings that may be needed."""
    block = task.output
    if not block.unset:
        return []
    found = introduce(
        spec_of(block, project), block.role, cwd=project.folder, timeout_s=task.start_timeout_s, describe=True
    )
    settings = _settings(found.description.config_schema) if found.description is not None else {}
    needed = [error for name, error in block.unset.items() if not _is_run_only(name, settings, block)]
    if needed:
        raise ConfigErrors([each for error in needed for each in error.errors])
    return [f"{name} ignored: {error.errors[0].message}" for name, error in block.unset.items()]


def _settings(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the top-level settings of a schema, which may be a reference to one of its definitions."""
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    found = schema.get("$defs", {}).get(name, schema).get("properties")
    return found if isinstance(found, Mapping) else {}


def _is_run_only(name: str, settings: Mapping[str, Any], block: ProviderBlock) -> bool:
    """Return whether `x-run-only` is true, or an object of settings that all have these values."""
    mark = settings.get(name, {}).get("x-run-only")
    if not isinstance(mark, Mapping):
        return mark is True
    return bool(mark) and all(
        other not in block.unset and block.config.get(other, settings.get(other, {}).get("default")) == value
        for other, value in mark.items()
    )
