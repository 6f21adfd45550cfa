"""Errors for providers to raise, grouped by what the host does next; dstream.errors has the full tree."""

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
