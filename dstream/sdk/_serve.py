"""One provider's life behind its first line: line 1 from the host, the run, the report of an error, the exit."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from dstream.errors import ConfigError, DStreamError, SystemFault, TransientError
from dstream.protocol.messages import BadLine, Command, Description, Error, ErrorBody, Status, decode_command, encode
from dstream.sdk._channel import Channel, LifeSigns, die_with_parent
from dstream.sdk._config import config_schema, decode_config
from dstream.sdk._provider import InputProvider, OutputProvider
from dstream.sdk._telemetry import StderrTelemetry, Telemetry

AnyProvider = InputProvider[Any] | OutputProvider[Any]


def serve(provider: type[InputProvider[Any]] | type[OutputProvider[Any]]) -> NoReturn:
    """Take the command from stdin, carry it out, exit."""
    die_with_parent()
    channel = Channel()
    line = channel.read_line()
    if not line:
        sys.exit(0)  # asked for nothing
    sys.exit(_Service(provider, channel).answer(line))


class _Service:
    def __init__(self, provider: type[AnyProvider], channel: Channel) -> None:
        self._class = provider
        self._channel = channel
        self._ready = False

    def answer(self, line: bytes) -> int:
        """The exit code."""
        try:
            self._carry_out(line)
        except DStreamError as error:
            self._report(error)
        except Exception as error:  # noqa: BLE001 - the outermost frame: whatever it is, the host must hear of it
            traceback.print_exc()
            self._report(SystemFault("provider.crashed", f"{type(error).__name__}: {error}"))
        else:
            return 0
        return 1

    def _carry_out(self, line: bytes) -> None:
        try:
            command = decode_command(line)
        except BadLine as error:
            raise SystemFault("protocol.bad_line", f"line 1 from the host: {error}") from error
        if command.command == "describe":
            self._describe()
        elif command.command == "run":
            self._run(command)
        else:
            name, role = self._class.provider_name(), self._class.role
            raise ConfigError(
                "provider.no_lifecycle",
                f"{name} is an {role} provider and doesn't support lifecycle commands",
                hint="Only an output provider with infrastructure answers init, plan, status and destroy.",
            )

    def _describe(self) -> None:
        doc = (self._class.__doc__ or "").strip()
        self._channel.send(encode(Description(config_schema(self._class.config_type()), doc.partition("\n")[0], doc)))

    def _run(self, command: Command) -> None:
        provider = self._class()
        provider.config = decode_config(command.config, self._class.config_type())
        provider.run = command.run
        provider.host_keeps_state = self._channel.has_host
        provider.telemetry = Telemetry(self._channel.send) if self._channel.has_host else StderrTelemetry()
        life = LifeSigns(provider.telemetry.beat)
        life.start()
        try:
            provider.start()
            stream = _stream_of(provider, self._channel, command)
            self._channel.send(encode(Status("ready")))
            self._ready = True
            stream()
        finally:
            provider.close()
            life.end()

    def _report(self, error: DStreamError) -> None:
        retry_ms = int(error.retry_after_s * 1000) if isinstance(error, TransientError) else 0
        fields = (error.code, error.kind, error.message, error.hint, error.config_path, retry_ms)
        if not self._ready:
            self._channel.send(encode(Status("error", error.message, ErrorBody(*fields))))
        elif self._channel.has_host:
            self._channel.send(encode(Error(*fields)))
        else:
            print(f"Error: {error.message}", file=sys.stderr)  # noqa: T201 - no host: a person reads this


def _stream_of(provider: AnyProvider, channel: Channel, command: Command) -> Callable[[], None]:
    """What streams in the role's way (imported here: only one of the two is ever needed)."""
    if isinstance(provider, InputProvider):
        from dstream.sdk._input import InputRun

        reading = InputRun(provider, channel, command)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: reading.stop.set())
        return reading.run
    from dstream.sdk._output import OutputRun

    return OutputRun(provider, channel).run
