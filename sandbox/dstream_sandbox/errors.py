"""The error of the sandbox's commands."""

from __future__ import annotations


class SandboxError(Exception):
    """A sandbox command failed. The message gives the reason and the fix."""
