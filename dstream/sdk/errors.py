"""Errors that a provider raises, grouped by what the host does next; see dstream.errors for the tree."""

from dstream.errors import (
    AuthError,
    ConfigError,
    DataError,
    DStreamError,
    LockedError,
    RefusedError,
    SystemFault,
    TransientError,
    UnreachableError,
)

__all__ = [
    "AuthError",
    "ConfigError",
    "DStreamError",
    "DataError",
    "LockedError",
    "RefusedError",
    "SystemFault",
    "TransientError",
    "UnreachableError",
]
