"""The configuration language: HCL files to typed tasks, with file, line and column for every complaint.

`load` is the way in. The language is described in docs/reference/hcl.md. What a provider's `config` may say is not
known here; its provider checks it, and `ProviderBlock.place_of` tells where a setting stands.
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
)

__all__ = [
    "InfrastructureSettings",
    "Project",
    "ProviderBlock",
    "Restart",
    "Role",
    "Settings",
    "StateSettings",
    "Task",
    "load",
    "load_variables",
]
