"""Infrastructure for output providers, run by the Pulumi engine. Light to import."""

from dstream.infra.definition import Content, Contents, Definition, Display, Recorded, RunProgram
from dstream.infra.lifecycle import PulumiInfrastructure
from dstream.infra.plan.step import Step
from dstream.infra.plan.unrecorded import UnrecordedResources

__all__ = [
    "Content",
    "Contents",
    "Definition",
    "Display",
    "PulumiInfrastructure",
    "Recorded",
    "RunProgram",
    "Step",
    "UnrecordedResources",
]
