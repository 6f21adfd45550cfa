"""A provider's life after its first line: line 1 from the host, the run, error reporting, the exit."""

from __future__ import annotations

import contextlib
import signal
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from dstream.allocation import keep_freed_memory
from dstream.errors import ConfigError, DStreamError, SystemFault, TransientError, exit_code
from dstream.garbage_collection import collect_as_usual, collect_rarely
from dstream.protocol.lifecycle import LIFECYCLE_COMMANDS, decode_lifecycle_command
from dstream.protocol.messages import (
    BadLine,
    Checked,
    CheckedConfig,
    Command,
    ConfigClaim,
    Description,
    Error,
    ErrorBody,
    Finding,
    Findings,
    RequirementCheck,
    Status,
    decode_check,
    decode_command,
    encode,
)
from dstream.sdk._channel import Channel, LifeSigns, die_with_parent
from dstream.sdk._config import config_schema, decode_config
from dstream.sdk._infrastructure import manages_infrastructure
from dstream.sdk._provider import InputProvider, OutputProvider, TransformProvider
from dstream.sdk._telemetry import StderrTelemetry, Telemetry
from dstream.sdk._unhandled import unhandled
from dstream.signals import SignalListener

if TYPE_CHECKING:
    from dstream.sdk._transform.chain import TransformChain

AnyProvider = InputProvider[Any] | TransformProvider[Any] | OutputProvider[Any]


def serve(provider: type[AnyProvider]) -> NoReturn:
    """Read the command from stdin, carry it out, exit."""
    die_with_parent()
    collect_rarely()
    channel = Channel()
    line = channel.read_line()
    if not line:
        sys.exit(0)  # no command given
    sys.exit(_Service(provider, channel).answer(line))


class _Service:
    def __init__(self, provider: type[AnyProvider], channel: Channel) -> None:
        self._class = provider
        self._channel = channel
        self._ready = False

    def answer(self, line: bytes) -> int:
        """Return the exit code."""
        try:
            command = self._decode(line)
            if command.command in LIFECYCLE_COMMANDS:
                return self._lifecycle(line)
            if command.command == "check":
                self._channel.send(encode(Checked([self._checked(each) for each in decode_check(line).configs])))
                return 0
            if command.command == "dead_letters":
                self._dead_letters(line)
            else:
                self._carry_out(command)
        except DStreamError as error:
            self._report(error)
        except Exception as error:  # noqa: BLE001 - the outermost frame: any failure must be reported to the host
            self._report(unhandled(error))
        else:
            return 0
        return 1

    def _decode(self, line: bytes) -> Command:
        try:
            return decode_command(line)
        except BadLine as error:
            raise SystemFault("protocol.bad_line", f"line 1 from the host: {error}") from error

    def _carry_out(self, command: Command) -> None:
        if command.command == "describe":
            self._describe()
        elif command.command == "doctor":
            self._channel.send(encode(Findings(self._findings(command))))
        elif command.command == "run":
            self._run(command)
        else:
            raise ConfigError("provider.unknown_command", f'unknown command "{command.command}"')

    def _describe(self) -> None:
        doc = (self._class.__doc__ or "").strip()
        schema = config_schema(self._class.config_type())
        self._channel.send(encode(Description(schema, doc.partition("\n")[0], doc, self._requirements())))

    def _checked(self, values: dict[str, Any]) -> CheckedConfig:
        try:
            config = decode_config(values, self._class.config_type())
            return CheckedConfig(claims=[ConfigClaim(*each) for each in self._class.check_config(config)])
        except ConfigError as error:
            body = ErrorBody(error.code, error.kind, error.message, error.hint, error.config_path)
            return CheckedConfig(problems=[body])

    def _requirements(self) -> list[RequirementCheck]:
        """A check that raises must not hide the schema, from which the host learns which settings are secret."""
        try:
            return [RequirementCheck(*each) for each in self._class.requirements()]
        except Exception as error:  # noqa: BLE001 - the author's code; reported as a failed requirement
            traceback.print_exc()
            return [RequirementCheck("requirements", False, f"check failed: {type(error).__name__}: {error}")]

    def _findings(self, command: Command) -> list[Finding]:
        found: list[Finding] = []
        provider = self._class()
        try:
            self._configure(provider, command)
            found.extend(provider.doctor(command.state))
        except DStreamError as error:
            found.append(Finding("failure", self._class.provider_name(), error.message, error.hint))
        except Exception as error:  # noqa: BLE001 - the author's code; reported as a failed check
            traceback.print_exc()
            text = f"check failed: {type(error).__name__}: {error}"
            found.append(Finding("failure", self._class.provider_name(), text))
        finally:
            with contextlib.suppress(Exception):  # the findings matter more
                provider.close()
        return found

    def _dead_letters(self, line: bytes) -> None:
        from dstream.protocol.dead_letters import decode_dead_letters_command
        from dstream.sdk._dead_letters import answer

        self._ready = True  # it answers with control lines only, also if it fails
        try:
            command = decode_dead_letters_command(line)
        except BadLine as error:
            raise SystemFault("protocol.bad_line", f"line 1 from the host: {error}") from error
        provider = self._class()
        if not isinstance(provider, OutputProvider):
            raise ConfigError("provider.unknown_command", f"{self._class.provider_name()} keeps no dead letters")
        self._configure(provider, command)
        life = LifeSigns(provider.telemetry.beat, provider.telemetry.has_news)
        life.start()
        try:
            request = command.dead_letters
            answer(provider.dead_letters(exclusive=request.action in ("replay", "purge")), request, self._channel)
        finally:
            with contextlib.suppress(Exception):  # the answer matters more
                provider.close()
            life.end()

    def _lifecycle(self, line: bytes) -> int:
        """The exit code is for those who run the provider by hand; the host relies on the last line."""
        from dstream.sdk._lifecycle import LifecycleRun, failed

        try:
            command = decode_lifecycle_command(line)
            provider = self._class()
            if not manages_infrastructure(self._class) or not isinstance(provider, OutputProvider):
                raise self._no_lifecycle()
            provider.config = decode_config(command.config, self._class.config_type())
        except (BadLine, DStreamError) as cause:
            error = cause if isinstance(cause, DStreamError) else SystemFault("protocol.bad_line", str(cause))
            self._channel.send(encode(failed(error)))
            if not self._channel.has_host:
                print(f"Error: {error.message}\n  {error.hint}", file=sys.stderr)  # noqa: T201 - for the user
            return exit_code(error)
        provider.telemetry = Telemetry(self._channel.send) if self._channel.has_host else StderrTelemetry()
        run = LifecycleRun(provider, self._channel, command)  # type: ignore[arg-type]  # checked on the class
        life = LifeSigns(provider.telemetry.beat, provider.telemetry.has_news, orphaned=run.stop.set)
        life.start()
        try:
            return 0 if run.go() else 1
        finally:
            life.end()

    def _no_lifecycle(self) -> ConfigError:
        what = {"input": "reads data", "transform": "changes rows", "output": "writes data"}[self._class.role]
        article = "a" if self._class.role == "transform" else "an"
        return ConfigError(
            "provider.no_lifecycle",
            f"This is {article} {self._class.role} provider and doesn't support lifecycle commands",
            hint=f"{self._class.provider_name()} {what}; it has no infrastructure to init, plan, show or destroy.",
        )

    def _run(self, command: Command) -> None:
        provider = self._class()
        self._configure(provider, command)
        life = LifeSigns(provider.telemetry.beat, provider.telemetry.has_news)
        life.start()
        try:
            provider.start()
            stream = _stream_of(provider, self._channel, command)
            self._channel.send(encode(Status("ready")))
            self._ready = True
            collect_as_usual()
            keep_freed_memory()
            stream()
        except BaseException:
            with contextlib.suppress(Exception):  # often a consequence of the first error, which must not be hidden
                provider.close()
            raise
        else:
            provider.close()
        finally:
            life.end()

    def _configure(self, provider: AnyProvider, command: Command) -> None:
        provider.config = decode_config(command.config, self._class.config_type())
        provider.run = command.run
        if isinstance(provider, OutputProvider):
            provider.infrastructure = command.infrastructure
        provider.host_keeps_state = self._channel.has_host
        provider.telemetry = Telemetry(self._channel.send) if self._channel.has_host else StderrTelemetry()

    def _report(self, error: DStreamError) -> None:
        retry_ms = int(error.retry_after_s * 1000) if isinstance(error, TransientError) else 0
        fields = (error.code, error.kind, error.message, error.hint, error.config_path, retry_ms)
        if not self._ready:
            self._channel.send(encode(Status("error", error.message, ErrorBody(*fields))))
        elif self._channel.has_host:
            self._channel.send(encode(Error(*fields)))
        else:
            print(f"Error: {error.message}", file=sys.stderr)  # noqa: T201 - no host: for the user


def _stream_of(provider: AnyProvider, channel: Channel, command: Command) -> Callable[[], None]:
    """The run for the provider's role (imported here, since only one of them is needed)."""
    if isinstance(provider, InputProvider):
        from dstream.sdk._input import InputRun

        reading = InputRun(provider, channel, command)
        SignalListener((signal.SIGTERM, signal.SIGINT), lambda _: reading.stop.set()).start()
        return reading.run
    if isinstance(provider, TransformProvider):
        from dstream.sdk._transform_run import TransformRun

        return TransformRun(provider, channel).run
    from dstream.sdk._output import OutputRun

    return OutputRun(provider, channel, _chain_of(command)).run


def _chain_of(command: Command) -> TransformChain | None:
    """Compile the task's transforms. Raises ConfigError `transform.unsupported`."""
    if not command.transforms:
        return None
    from dstream.protocol.transforms import UnknownTransform, decode_transforms
    from dstream.sdk._transform.chain import TransformChain

    try:
        return TransformChain(decode_transforms(command.transforms))
    except UnknownTransform as error:
        raise ConfigError(
            "transform.unsupported",
            f"the output's SDK does not know this transform: {error}",
            hint="Upgrade the output provider to a version that is built with this DStream, or remove the transform.",
            config_path=f"transform[{error.index}]",
        ) from error
