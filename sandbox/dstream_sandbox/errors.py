"""The one error of the sandbox's commands."""

from __future__ import annotations


class SandboxError(Exception):
    """The sandbox can't do what was asked; the text says why and what helps."""
