"""Settings that `status` and `destroy` ignore because they need an environment variable that is not set.

Both commands use the record, so a setting that only `run` needs must not block a clean-up. The provider's schema marks
such settings with `x-run-only`. Any other unset setting is an error, since it may identify what to delete.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dstream.cli.project import spec_of
from dstream.config import Project, ProviderBlock, Task
from dstream.errors import ConfigError, ConfigErrors
from dstream.host.provider.describe import Introduction
from dstream.host.provider.introductions import Introductions


def left_out(project: Project, tasks: Sequence[Task]) -> dict[str, list[str]]:
    """Return a message for each ignored setting of the tasks' outputs, by task. Raises ConfigErrors for all settings
    that may be needed."""
    messages: dict[str, list[str]] = {}
    needed: list[ConfigError] = []
    with Introductions(project.folder) as introductions:
        asked = [
            (task, introductions.ask(spec_of(task.output, project), "output", timeout_s=task.start_timeout_s))
            for task in tasks
            if task.output.unset
        ]
        for task, answer in asked:
            needed += _needed(task.output, answer())
            unset = task.output.unset.items()
            messages[task.name] = [f"{name} ignored: {error.errors[0].message}" for name, error in unset]
    if needed:
        raise ConfigErrors(needed)
    return messages


def _needed(block: ProviderBlock, found: Introduction) -> Iterator[ConfigError]:
    """Yield the errors of the unset settings that not only `run` needs."""
    settings = _settings(found.description.config_schema) if found.description is not None else {}
    for name, error in block.unset.items():
        if not _is_run_only(name, settings, block):
            yield from error.errors


def _settings(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the top-level settings of a schema, which may be a reference to one of its definitions."""
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    found = schema.get("$defs", {}).get(name, schema).get("properties")
    return {key: each for key, each in (found or {}).items() if isinstance(each, Mapping)}


def _is_run_only(name: str, settings: Mapping[str, Any], block: ProviderBlock) -> bool:
    """Return whether `x-run-only` is true, or an object of settings that all have these values."""
    mark = settings.get(name, {}).get("x-run-only")
    if not isinstance(mark, Mapping):
        return mark is True
    return bool(mark) and all(
        other not in block.unset and block.config.get(other, settings.get(other, {}).get("default")) == value
        for other, value in mark.items()
    )
