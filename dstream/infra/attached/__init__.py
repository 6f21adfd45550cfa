"""Custom resource types, served to the Pulumi engine by the provider's process. Imports grpc."""

from __future__ import annotations

from dstream.infra.attached.provider import AttachedResources
from dstream.infra.attached.types import (
    UNKNOWN,
    Actual,
    Property,
    ResourceFailed,
    ResourceType,
    SecretValue,
    Unknown,
    Values,
)

__all__ = [
    "UNKNOWN",
    "Actual",
    "AttachedResources",
    "Property",
    "ResourceFailed",
    "ResourceType",
    "SecretValue",
    "Unknown",
    "Values",
]
