"""Turns the engine's errors about the store of its records into DStream's. Pure.

The engine prints the store's whole response (gocloud.dev/blob, `blob (code=..)`), with the reason in the middle.
"""

from __future__ import annotations

import re

from dstream.errors import AuthError, ConfigError, DStreamError

_OF_STORE = re.compile(
    r"could not list bucket|could not read bucket|blob \((?:key [^)]*\) \()?code=|google credentials"
)
_MISSING = re.compile(r"ContainerNotFound|NoSuchBucket|bucket does(?: not|n't) exist")
_DENIED = tuple(
    map(
        re.compile,
        (
            "(?:Authorization|Authentication)[A-Z][A-Za-z]*|NoAuthenticationInformation",
            "AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken",
            "could not find default credentials|DefaultAzureCredential",
            "StatusCode: 403|RESPONSE 403|Error 40[13]",
        ),
    )
)
"""The error codes of Azure Storage and S3, then what is less specific."""
_DOCS = "docs/guides/gitops.md#where-the-infrastructure-is-recorded lists what each backend needs."


def backend_failure(stderr: str, backend_url: str) -> DStreamError | None:
    """Return the error if the store is missing or denies access; None for any other failure."""
    if not _OF_STORE.search(stderr):
        return None
    if _MISSING.search(stderr):
        return ConfigError(
            "infra.no_backend",
            f"the record's container or bucket does not exist: {backend_url}",
            hint="Create it, or correct `backend_url`. DStream does not create it.",
        )
    reasons = [found[0] for each in _DENIED if (found := each.search(stderr))]
    if not reasons:
        return None
    return AuthError(
        "infra.backend_denied", f"{backend_url} denies access: {reasons[0]}", hint=f"Sign in first; {_DOCS}"
    )
