"""StdioProviderHost: hello, line 1, then the run of the provider's role."""

from __future__ import annotations

import signal
import sys
import traceback
from importlib import metadata
from typing import Any

from dstream.errors import ConfigError, DStreamError, SystemFault, TransientError
from dstream.protocol import PROTOCOL_VERSION
from dstream.protocol.messages import (
    BadLine,
    Command,
    Description,
    Error,
    ErrorBody,
    Hello,
    Status,
    decode_command,
    encode,
)
from dstream.sdk._channel import Channel, LifeSigns, die_with_parent
from dstream.sdk._config import config_schema, decode_config
from dstream.sdk._provider import InputProvider, OutputProvider, Provider
from dstream.sdk._telemetry import StderrTelemetry, Telemetry

_SHARED_CAPABILITIES = ["ack", "checkpoint", "describe", "drain", "heartbeat", "log", "metric"]


class StdioProviderHost:
    """Speaks the protocol for one provider class; `run` never returns."""

    def __init__(self, provider: type[InputProvider[Any]] | type[OutputProvider[Any]]) -> None:
        self._class = provider
        self._ready = False

    def run(self) -> None:
        """Serve the one command that the host gives, then exit: 0, or 1 after an error was reported."""
        if sys.stdin.isatty():
            name = self._class.provider_name()
            sys.exit(
                f"{name} is a DStream provider: `dstream run` starts it for a task.\n"
                f"By hand, give it its config: echo '{{..}}' | {sys.argv[0]}"
            )
        die_with_parent()
        channel = Channel()
        if channel.has_host:
            channel.send(encode(self.hello()))
        line = channel.read_line()
        if not line:
            sys.exit(0)  # asked for nothing
        try:
            self._serve(channel, line)
        except DStreamError as error:
            self._report(channel, error)
        except Exception as error:  # noqa: BLE001 - the outermost frame: whatever it is, the host must hear of it
            traceback.print_exc()
            self._report(channel, SystemFault("provider.crashed", f"{type(error).__name__}: {error}"))
        sys.exit(0)

    def hello(self) -> Hello:
        """Role and capabilities as the class has them."""
        capabilities = list(_SHARED_CAPABILITIES)
        if issubclass(self._class, InputProvider) and self._class.supports_once:
            capabilities.append("once")
        return Hello(
            PROTOCOL_VERSION,
            self._class.role,
            self._class.provider_name(),
            self._class.version or _version_of(self._class),
            capabilities,
        )

    def _serve(self, channel: Channel, line: bytes) -> None:
        try:
            command = decode_command(line)
        except BadLine as error:
            raise SystemFault("protocol.bad_line", f"line 1 from the host: {error}") from error
        if command.command == "describe":
            self._describe(channel)
        elif command.command == "run":
            self._run(channel, command)
        else:
            name, role = self._class.provider_name(), self._class.role
            raise ConfigError(
                "provider.no_lifecycle",
                f"{name} is an {role} provider and doesn't support lifecycle commands",
                hint="Only an output provider with infrastructure answers init, plan, status and destroy.",
            )

    def _describe(self, channel: Channel) -> None:
        doc = (self._class.__doc__ or "").strip()
        channel.send(encode(Description(config_schema(self._class.config_type()), doc.partition("\n")[0], doc)))

    def _run(self, channel: Channel, command: Command) -> None:
        provider = self._class()
        provider.config = decode_config(command.config, self._class.config_type())
        provider.run = command.run
        provider.telemetry = Telemetry(channel.send) if channel.has_host else StderrTelemetry()
        life = LifeSigns(provider.telemetry.beat)
        life.start()
        try:
            provider.start()
            _run_of(provider, channel, command, self._announce)
        finally:
            provider.close()
            life.end()

    def _announce(self, channel: Channel) -> None:
        channel.send(encode(Status("ready")))
        self._ready = True

    def _report(self, channel: Channel, error: DStreamError) -> None:
        retry_ms = int(error.retry_after_s * 1000) if isinstance(error, TransientError) else 0
        fields = (error.code, error.kind, error.message, error.hint, error.config_path, retry_ms)
        if not self._ready:
            channel.send(encode(Status("error", error.message, ErrorBody(*fields))))
        elif channel.has_host:
            channel.send(encode(Error(*fields)))
        else:
            print(f"Error: {error.message}", file=sys.stderr)  # noqa: T201 - no host: a person reads this
        sys.exit(1)


def _run_of(provider: Provider[Any], channel: Channel, command: Command, announce: Any) -> None:
    """Announce readiness, then stream in the role's way (imported here: only one of the two is ever needed)."""
    if isinstance(provider, InputProvider):
        from dstream.sdk._input import InputRun

        reading = InputRun(provider, channel, command)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: reading.stop.set())
        announce(channel)
        reading.run()
    elif isinstance(provider, OutputProvider):
        from dstream.sdk._output import OutputRun

        writing = OutputRun(provider, channel)
        announce(channel)
        writing.run()


def _version_of(provider: type[Any]) -> str:
    """The version of the distribution that the class's package belongs to."""
    package = provider.__module__.partition(".")[0]
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
