"""What every infrastructure provider needs of the Pulumi Automation API. Light to import."""

from dstream.infra.definition import Definition
from dstream.infra.step import Step

__all__ = ["Definition", "Step"]
