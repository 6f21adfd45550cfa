"""What a provider says it is, asked without asking it for anything else: no more than the hello is needed."""

from __future__ import annotations

from pathlib import Path

from dstream.host.describe import introduce
from dstream.host.job import ProviderSpec
from dstream.protocol.messages import Role


def check_role(spec: ProviderSpec, role: Role, *, cwd: Path | None, timeout_s: float) -> None:
    """Start the provider, hear its hello, end it unwritten. Raises ConfigError with the block's place.

    One that lives and says no hello may be a provider of the original protocol: those say nothing before line 1, so
    their role can't be known, and nothing is said against them.
    """
    introduce(spec, role, cwd=cwd, timeout_s=timeout_s, describe=False)
