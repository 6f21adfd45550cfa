"""The `dstream` block."""

from __future__ import annotations

from typing import get_args

import dstream
from dstream.config.blocks.body_reader import BodyReader
from dstream.config.blocks.version import satisfies
from dstream.config.hcl.problem import did_you_mean
from dstream.config.model import AuditSettings, InfrastructureSettings, Settings, StateSettings
from dstream.state import StateBackend

_STATE_BACKENDS: tuple[StateBackend, ...] = get_args(StateBackend)


def read_settings(reader: BodyReader) -> Settings:
    reader.check({"required_version", "allowed_providers"}, {"state", "infrastructure", "audit"})
    return Settings(
        _required_version(reader),
        _state(reader),
        _infrastructure(reader),
        _audit(reader),
        reader.texts("allowed_providers"),
    )


def _required_version(reader: BodyReader) -> str | None:
    wanted, attribute = reader.text("required_version"), reader.attribute("required_version")
    if wanted is None or attribute is None:
        return None
    fits = satisfies(dstream.__version__, wanted)
    at = attribute.value.at
    if fits is None:
        hint = 'Use e.g. ">= 0.1" or ">= 0.1, < 1.0".'
        reader.complain("config.version", "required_version is not a valid version constraint", at, hint)
    elif not fits:
        message = f'this file requires DStream "{wanted}", but this is DStream {dstream.__version__}'
        reader.complain("config.version", message, at, "Install a matching version, or relax required_version.")
    return wanted


def _state(reader: BodyReader) -> StateSettings:
    block = reader.block_named("state")
    if block is None:
        return StateSettings()
    inner = reader.inner(block, "dstream, state")
    inner.check({"backend", "path", "history", "url", "lease", "allow_plaintext"}, ())
    default = StateSettings()
    history = inner.count("history")
    return StateSettings(
        _state_backend(inner) or default.backend,
        inner.text("path") or default.path,
        default.history if history is None else history,
        inner.text("url"),
        _lease_s(inner) or default.lease_s,
        bool(inner.flag("allow_plaintext")),
    )


def _lease_s(inner: BodyReader) -> float | None:
    """Azure Blob Storage allows 15 to 60 seconds (Microsoft: "Lease Blob"); the other backends follow it."""
    lease_s, attribute = inner.duration_s("lease"), inner.attribute("lease")
    if lease_s is None or attribute is None or (15 <= lease_s <= 60 and lease_s == int(lease_s)):
        return lease_s
    inner.complain("config.type", "lease must be whole seconds from 15s to 60s", attribute.value.at)
    return None


def _state_backend(inner: BodyReader) -> StateBackend | None:
    name, attribute = inner.text("backend"), inner.attribute("backend")
    if name is None or attribute is None:
        return None
    backend = next((known for known in _STATE_BACKENDS if known == name), None)
    if backend is None:
        hint = did_you_mean(name, _STATE_BACKENDS) or f"Backends: {', '.join(_STATE_BACKENDS)}."
        inner.complain("config.unsupported", f'unknown state backend "{name}"', attribute.value.at, hint)
    return backend


def _infrastructure(reader: BodyReader) -> InfrastructureSettings:
    block = reader.block_named("infrastructure")
    if block is None:
        return InfrastructureSettings()
    inner = reader.inner(block, "dstream, infrastructure")
    inner.check({"stack", "backend_url", "work_dir", "secrets_provider", "program"}, ())
    return InfrastructureSettings(
        stack=_stack(inner) or InfrastructureSettings().stack,
        backend_url=inner.text("backend_url"),
        work_dir=inner.text("work_dir"),
        secrets_provider=inner.text("secrets_provider"),
        program=inner.text("program"),
    )


def _audit(reader: BodyReader) -> AuditSettings:
    block = reader.block_named("audit")
    if block is None:
        return AuditSettings()
    inner = reader.inner(block, "dstream, audit")
    inner.check({"file"}, ())
    file = inner.text("file")
    if not file:
        inner.complain("config.missing", "the audit block has no file", block.at, 'Add file = "audit.jsonl".')
    return AuditSettings(file or None)


def _stack(inner: BodyReader) -> str | None:
    """Validate the stack name, which is part of file and folder names and must not lead outside.

    Pulumi Cloud's stacks belong to an organization: `acme/prod`.
    """
    stack, attribute = inner.text("stack"), inner.attribute("stack")
    if stack is None or attribute is None:
        return None
    parts = stack.split("/")
    if len(parts) > 2 or not all(map(_is_name, parts)):
        hint = "Use letters, digits, '-', '_' and '.'; for Pulumi Cloud also ORGANIZATION/STACK."
        inner.complain("config.type", "invalid stack name", attribute.value.at, hint)
        return None
    return stack


def _is_name(text: str) -> bool:
    return text.strip(".") != "" and all(char.isalnum() or char in "-_." for char in text)
