"""Settings left out of `status` and `destroy` because they need an environment variable that is not set.

Both go by the record, so a setting that only `run` uses must not block a clean-up. Only the provider can tell which
settings those are: its schema marks them with `x-run-only`. Any other unset setting stays an error, since it may name
what to delete.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dstream.cli.project import spec_of
from dstream.config import Project, ProviderBlock, Task
from dstream.errors import ConfigErrors
from dstream.host.provider.describe import introduce


def left_out(project: Project, task: Task) -> list[str]:
    """Explain each setting left out of the task's output. Raises ConfigErrors for those that may be needed."""
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
    return [f"{name} left out: {error.errors[0].message}" for name, error in block.unset.items()]


def _settings(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The top-level settings of a schema, which may be a reference into its own definitions."""
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    found = schema.get("$defs", {}).get(name, schema).get("properties")
    return found if isinstance(found, Mapping) else {}


def _is_run_only(name: str, settings: Mapping[str, Any], block: ProviderBlock) -> bool:
    """Whether `x-run-only` is true, or an object of settings that all have the given values."""
    mark = settings.get(name, {}).get("x-run-only")
    if not isinstance(mark, Mapping):
        return mark is True
    return bool(mark) and all(
        other not in block.unset and block.config.get(other, settings.get(other, {}).get("default")) == value
        for other, value in mark.items()
    )
