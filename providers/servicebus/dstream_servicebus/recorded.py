"""Checks that the recorded resources fit the current settings. Pure."""

from __future__ import annotations

from collections.abc import Collection

from dstream_stacks.spec import Mode, ServiceBusSpec

from dstream.sdk.errors import ConfigError

_PACKAGES: dict[str, Mode] = {"azure-native": "arm", "dstream": "entities"}


def check_recorded(spec: ServiceBusSpec, recorded: Collection[tuple[str, str]], is_destroyed: bool) -> None:
    """Check the recorded resources' types and names. `is_destroyed`: nothing will be created. Raises ConfigError."""
    for token, _ in recorded:
        mode = _PACKAGES.get(token.partition(":")[0])
        if mode is not None and mode != spec.mode:
            raise ConfigError(
                "servicebus.mode_changed",
                f'the recorded resources were created in mode "{mode}"; a stack cannot change its mode',
                hint=f'Set mode = "{mode}", or use another stack (with import = true to import existing resources).',
                config_path="mode",
            )
    if not is_destroyed:
        _check_kinds(spec, recorded)


def _check_kinds(spec: ServiceBusSpec, recorded: Collection[tuple[str, str]]) -> None:
    """Check that no queue replaces a topic of the same name, or vice versa: the engine creates before it deletes, but
    both cannot have the same name."""
    wanted = {queue.name: "queue" for queue in spec.queues} | {topic.name: "topic" for topic in spec.topics}
    for token, name in recorded:
        kind = token.rpartition(":")[2].lower()
        if kind in ("queue", "topic") and wanted.get(name, kind) != kind:
            raise ConfigError(
                "servicebus.kind_changed",
                f'"{name}" is recorded as a {kind}; a {wanted[name]} cannot have the same name',
                hint=f"Delete the {kind} first: `dstream destroy --target {name}`, then `dstream init`.",
                config_path=wanted[name],
            )
