"""StdioProviderHost: writes the first line immediately, then does everything else (`_serve`)."""

from __future__ import annotations

import os
import sys
from typing import Any

from dstream.protocol import ENV_PROTOCOL, PROTOCOL_VERSION
from dstream.sdk._infrastructure import manages_infrastructure
from dstream.sdk._provider import InputProvider, OutputProvider, Provider, TransformProvider

_SHARED_CAPABILITIES = ("ack", "checkpoint", "describe", "drain", "heartbeat", "log", "metric")


class StdioProviderHost:
    """Speaks the protocol for one provider class; `run` never returns."""

    def __init__(
        self, provider: type[InputProvider[Any]] | type[TransformProvider[Any]] | type[OutputProvider[Any]]
    ) -> None:
        self._class = provider
        self._manages_infrastructure = issubclass(provider, OutputProvider) and manages_infrastructure(provider)

    def run(self) -> None:
        """Carry out one command from the host, then exit with 0, or with 1 after reporting an error."""
        if os.isatty(0):
            sys.exit(
                f"{self._class.provider_name()} is a DStream provider: `dstream run` starts it for a task.\n"
                f"To run it by hand, pass its config on stdin: echo '{{...}}' | {sys.argv[0]}"
            )
        if os.environ.get(ENV_PROTOCOL) == "1":
            os.write(1, self.hello())
        from dstream.sdk._serve import serve

        serve(self._class)

    def hello(self) -> bytes:
        """The first line, with the role and capabilities of the class. Without an encoder: names need no escaping."""
        capabilities = list(_SHARED_CAPABILITIES)
        if issubclass(self._class, InputProvider) and self._class.supports_once:
            capabilities.append("once")
        if issubclass(self._class, InputProvider) and self._class.snapshot is not InputProvider.snapshot:
            capabilities.append("snapshot")
        if self._class.check_config.__func__ is not Provider.check_config.__func__:  # type: ignore[attr-defined]
            capabilities.append("check")
        if self._class.doctor is not Provider.doctor:
            capabilities.append("doctor")
        if issubclass(self._class, OutputProvider):
            capabilities += ("trace", "transform")
            if self._class.dead_letters is not OutputProvider.dead_letters:
                capabilities.append("dead_letters")
        if self._manages_infrastructure:
            capabilities.append("infrastructure")
        listed = ",".join(f'"{name}"' for name in capabilities)
        return (
            f'{{"dstream":"hello","protocol":{PROTOCOL_VERSION},"role":"{self._class.role}",'
            f'"name":"{self._class.provider_name()}","version":"{self._class.version}","capabilities":[{listed}]}}\n'
        ).encode()
