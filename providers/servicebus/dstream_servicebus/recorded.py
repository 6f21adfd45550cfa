"""Whether what is recorded of a task's Service Bus can go on under the present settings. Pure."""

from __future__ import annotations

from collections.abc import Collection

from dstream_stacks.spec import Mode, ServiceBusSpec

from dstream.sdk.errors import ConfigError

_PACKAGES: dict[str, Mode] = {"azure-native": "arm", "dstream": "entities"}


def check_recorded(spec: ServiceBusSpec, recorded: Collection[tuple[str, str]], is_destroyed: bool) -> None:
    """Types and names of what is recorded; `is_destroyed`: nothing new is made. Raises ConfigError."""
    for token, _ in recorded:
        mode = _PACKAGES.get(token.partition(":")[0])
        if mode is not None and mode != spec.mode:
            raise ConfigError(
                "servicebus.mode_changed",
                f'what is recorded was made in mode "{mode}", and the modes are never mixed in one stack',
                hint=f'Set mode = "{mode}" again, or use another stack (and import = true to take over what is there).',
                config_path="mode",
            )
    if not is_destroyed:
        _check_kinds(spec, recorded)


def _check_kinds(spec: ServiceBusSpec, recorded: Collection[tuple[str, str]]) -> None:
    """The engine makes what is new before it deletes what is left over, and there can't be two of one name."""
    wanted = {queue.name: "queue" for queue in spec.queues} | {topic.name: "topic" for topic in spec.topics}
    for token, name in recorded:
        kind = token.rpartition(":")[2].lower()
        if kind in ("queue", "topic") and wanted.get(name, kind) != kind:
            raise ConfigError(
                "servicebus.kind_changed",
                f'"{name}" is recorded as a {kind}, and is to be a {wanted[name]}: a namespace has one name for both',
                hint=f"Delete the {kind} first: `dstream destroy --target {name}`, then `dstream init`.",
                config_path=wanted[name],
            )
