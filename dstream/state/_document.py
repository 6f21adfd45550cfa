"""The stored document: one checkpoint of a task, the same on every backend."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import msgspec

from dstream.errors import ConfigError

DOCUMENT_VERSION = 1


class StoredState(msgspec.Struct, frozen=True, kw_only=True):
    """The stored document: the input's state at its last acknowledged checkpoint, and where it came from."""

    version: int = DOCUMENT_VERSION
    task: str
    input: str
    output: str
    seq: Annotated[int, msgspec.Meta(ge=0)]
    """The checkpoint's sequence number within the run that stored it."""
    stored_at: str
    """UTC, RFC 3339."""
    run_id: str
    state: msgspec.Raw
    """A JSON object."""


class _Version(msgspec.Struct):
    version: int


def encode_state(state: StoredState) -> bytes:
    """Return the document, one line of JSON."""
    return msgspec.json.encode(state) + b"\n"


def decode_state(document: bytes, *, source: str, hint: str) -> StoredState:
    """Decode a document; `source`: its origin, `hint`: how to fix a bad one. Raises `state.corrupt`, `state.newer`."""
    try:
        version = msgspec.json.decode(document, type=_Version).version
        if version > DOCUMENT_VERSION:
            raise ConfigError(
                "state.newer",
                f"the state {source} has version {version}; this DStream supports {DOCUMENT_VERSION}",
                hint="A newer DStream wrote it. Upgrade DStream.",
            )
        if version < DOCUMENT_VERSION:
            raise msgspec.ValidationError(f"there is no version {version}")
        stored = msgspec.json.decode(document, type=StoredState)
        if not bytes(stored.state).startswith(b"{"):
            raise msgspec.ValidationError("`state` is not an object")
        return stored
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError("state.corrupt", f"the state {source} is not valid: {error}", hint=hint) from error


def stored_hint(task: str) -> str:
    """Return how to fix the stored document of a task that cannot be used."""
    return (
        f"Go back to a kept checkpoint with `dstream state rollback {task}`, restore it from a backup, or start over "
        f"with `dstream state rm {task}`."
    )


def file_name(name: str) -> str:
    """Return a task or stack name as a single path component."""
    return quote(name, safe="")
