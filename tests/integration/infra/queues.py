"""A provider as an author would write it: queues in the cloud of `cloud.py`. Runs as a separate program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from dstream.infra import Definition, PulumiInfrastructure, Step
from dstream.sdk import Batch, Figure, InfrastructureContext, OutputProvider, StdioProviderHost


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    cloud: str
    """The cloud's folder."""
    queues: dict[str, dict[str, Any]] = {}
    """By name; `_protect`, `_retain`, `_import`, `_after` (another queue), `_secret` (a value), `_ignore` (property paths) are
    options."""
    exports: dict[str, Any] = {}
    serves_itself: bool = True
    """If false, the cloud is a separate process, listed in PULUMI_DEBUG_PROVIDERS."""
    fail: str = ""
    """The message of the ValueError that the program raises."""
    reject: str = ""
    """The message of the RunError that the program raises."""


class QueueOutput(OutputProvider[Config], PulumiInfrastructure[Config]):
    """Queues in a cloud stored in a file."""

    def write(self, batch: Batch) -> None:
        pass

    def definition(self, context: InfrastructureContext) -> Definition:
        from tests.integration.infra.cloud import CloudServicer

        return Definition(
            program=self._program,
            spec={"queues": self.config.queues},
            attached={"cloud": CloudServicer(Path(self.config.cloud))} if self.config.serves_itself else {},
            resource_id=lambda _, inputs: f"/queues/{inputs['name']}",
            config_path_of=lambda _, name: f"queues.{name}",
            holds=lambda step: int(step.outputs["messages"]),
            held="messages",
            is_unreadable=lambda error: "not readable yet" in error,
            message=lambda steps: f"{len(steps)} queues",
            figures=_figures,
        )

    def _program(self) -> None:
        import pulumi

        if self.config.fail:
            raise ValueError(self.config.fail)
        if self.config.reject:
            raise pulumi.RunError(self.config.reject)
        made: dict[str, pulumi.Resource] = {}
        for name, settings in self.config.queues.items():
            inputs = {key: value for key, value in settings.items() if not key.startswith("_")}
            if "_secret" in settings:
                inputs["key"] = pulumi.Output.secret(settings["_secret"])
            options = pulumi.ResourceOptions(
                protect=settings.get("_protect"),
                retain_on_delete=settings.get("_retain"),
                ignore_changes=settings.get("_ignore"),
                delete_before_replace=True,  # the name is fixed; the engine does not ask the provider for `--replace`
                import_=f"/queues/{name}" if settings.get("_import") else None,
                depends_on=[made[settings["_after"]]] if "_after" in settings else None,
            )
            made[name] = pulumi.CustomResource("cloud:index:Queue", name, {"name": name, **inputs}, options)
        pulumi.export("queues", sorted(made))
        pulumi.export("connection", pulumi.Output.secret("Endpoint=x;SharedAccessKey=hush-hush"))
        for name, value in self.config.exports.items():
            pulumi.export(name, value)


def _figures(steps: list[Step]) -> list[Figure]:
    return [
        Figure("messages", step.name, f"{step.outputs['messages']} active", {"active": step.outputs["messages"]})
        for step in steps
        if step.outputs
    ]


if __name__ == "__main__":
    StdioProviderHost(QueueOutput).run()
