"""Infrastructure for output providers, run by the Pulumi engine. Light to import."""

from dstream.infra.definition import Definition
from dstream.infra.lifecycle import PulumiInfrastructure
from dstream.infra.plan.step import Step

__all__ = ["Definition", "PulumiInfrastructure", "Step"]
