"""Checks that the recorded resources fit the current settings. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from dstream_stacks.spec import Mode, ServiceBusSpec

from dstream.infra import Recorded
from dstream.sdk.errors import ConfigError

_PACKAGES: dict[str, Mode] = {"azure-native": "arm", "dstream": "entities"}


def check_recorded(spec: ServiceBusSpec, recorded: Sequence[Recorded], is_destroyed: bool) -> None:
    """Check the recorded resources. `is_destroyed`: nothing will be created. Raises ConfigError."""
    for each in recorded:
        mode = _PACKAGES.get(each.type.partition(":")[0])
        if mode is not None and mode != spec.mode:
            raise ConfigError(
                "servicebus.mode_changed",
                f'the recorded resources were created in mode "{mode}"; a stack cannot change its mode',
                hint=f'Set mode = "{mode}", or use another stack (with import = true to import existing resources).',
                config_path="mode",
            )
    if not is_destroyed:
        _check_kinds(spec, recorded)


def _check_kinds(spec: ServiceBusSpec, recorded: Sequence[Recorded]) -> None:
    """Check that no queue replaces a topic of the same name, or vice versa: the engine creates before it deletes, but
    both cannot have the same name."""
    wanted = {each.name.lower(): "queue" for each in spec.queues} | {each.name.lower(): "topic" for each in spec.topics}
    for token, name, _ in recorded:
        kind, key = token.rpartition(":")[2].lower(), name.lower()
        if kind in ("queue", "topic") and wanted.get(key, kind) != kind:
            raise ConfigError(
                "servicebus.kind_changed",
                f'"{name}" is recorded as a {kind}; a {wanted[key]} cannot have the same name',
                hint=f"Delete the {kind} first: `dstream destroy --target {name}`, then `dstream init`.",
                config_path=wanted[key],
            )
