"""StdioProviderHost: hello, line 1, then the run of the provider's role."""

from __future__ import annotations

from typing import Any

from dstream.sdk._provider import Provider


class StdioProviderHost:
    """Speaks the protocol for one provider class."""

    def __init__(self, provider: type[Provider[Any]]) -> None:
        self._class = provider

    def run(self) -> None:
        raise NotImplementedError
