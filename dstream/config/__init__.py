"""The configuration language: reads HCL files into typed tasks, with file, line and column for every error.

`load` is the entry point. docs/reference/hcl.md describes the language. A provider's `config` is not interpreted here:
its provider validates it, and `ProviderBlock.place_of` returns the place of a setting.
"""

from dstream.config.blocks.variable_file import load_variables
from dstream.config.loader import load
from dstream.config.model import (
    InfrastructureSettings,
    Project,
    ProviderBlock,
    Restart,
    Role,
    Settings,
    StateSettings,
    Task,
    TransformBlock,
)
from dstream.config.values.environment import FileRead

__all__ = [
    "FileRead",
    "InfrastructureSettings",
    "Project",
    "ProviderBlock",
    "Restart",
    "Role",
    "Settings",
    "StateSettings",
    "Task",
    "TransformBlock",
    "load",
    "load_variables",
]
