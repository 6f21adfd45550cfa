"""OCI registries as a source of providers: references, artifacts, credentials, pull and push."""

from dstream.registry.artifact import ARTIFACT_TYPE, PushedFile, binaries_in, file_to_push
from dstream.registry.client import RegistryClient
from dstream.registry.reference import Reference, is_reference, parse_reference

__all__ = [
    "ARTIFACT_TYPE",
    "PushedFile",
    "Reference",
    "RegistryClient",
    "binaries_in",
    "file_to_push",
    "is_reference",
    "parse_reference",
]
