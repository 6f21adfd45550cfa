"""The base classes for provider authors. Light: imported before a provider's first line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NamedTuple, TypeVar, get_args, get_origin

from dstream.sdk._stream import Batch, BatchLimits, Checkpoint, Lines, Row, State, Stop

if TYPE_CHECKING:
    from concurrent.futures import Future

    from dstream.protocol.messages import Finding, Infrastructure, RunOptions
    from dstream.sdk._dead_letters import DeadLetterStore
    from dstream.sdk._telemetry import Telemetry

ConfigT = TypeVar("ConfigT")


class Requirement(NamedTuple):
    """Something the provider needs on this machine, such as a driver. `fix`: what to do if not `ok`."""

    name: str
    ok: bool
    detail: str = ""
    fix: str = ""


class Claim(NamedTuple):
    """Something that only one task can declare, such as a queue. `id` identifies it across tasks; `name` is shown to
    users; `config_path` is the setting that declares it."""

    id: str
    name: str
    config_path: str = ""


class Provider(Generic[ConfigT]):
    """Shared by inputs and outputs. The attributes are set before `start`."""

    name: ClassVar[str] = ""
    """For logs and messages. Defaults to the class name in snake case. Letters, digits, `.`, `-` and `_`."""
    version: ClassVar[str] = ""
    role: ClassVar[Literal["input", "transform", "output"]]

    config: ConfigT
    run: RunOptions
    telemetry: Telemetry
    host_keeps_state: bool = True
    """False under the original DStream's host or when run by hand: the next run starts without a state."""

    def start(self) -> None:
        """Connect, and check early what could fail: an error raised here reaches the user before any row is read."""

    def close(self) -> None:
        """Release what `start` opened. Called once at the end, even if `start` failed."""

    @classmethod
    def config_type(cls) -> type[Any]:
        """The type argument of InputProvider[...] or OutputProvider[...]. A provider whose config is slow to import
        quotes the name there and overrides this method to import it."""
        for base in (base for klass in cls.__mro__ for base in klass.__dict__.get("__orig_bases__", ())):
            origin = get_origin(base)
            if isinstance(origin, type) and issubclass(origin, Provider) and isinstance(get_args(base)[0], type):
                return get_args(base)[0]  # type: ignore[no-any-return]  # a type argument is a type
        raise TypeError(f"{cls.__name__} does not name its config: derive from InputProvider[Config]")

    @classmethod
    def requirements(cls) -> Sequence[Requirement]:
        """Check what the provider needs on this machine, for `dstream doctor`. Called on every `describe`, without a
        config: be quick and connect to nothing."""
        return ()

    @classmethod
    def check_config(cls, config: ConfigT) -> Sequence[Claim]:
        """Override it to check a valid config beyond its types, for `dstream validate`: raise ConfigError, and return
        what no other task can declare. Connect to nothing."""
        return ()

    def doctor(self, state: State) -> Iterable[Finding]:
        """Override it to check the source or the destination for `dstream doctor TASK`: connect, look, change nothing.

        Runs instead of `start`, with the attributes set; `close` follows. `state` is that of an input's last stored
        checkpoint. An error that it raises becomes the last finding.
        """
        return ()

    @classmethod
    def provider_name(cls) -> str:
        words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in cls.__name__)
        return cls.name or words.lstrip("_")


class InputProvider(Provider[ConfigT]):
    """An input provider. `run.once`: read up to the current end, then return."""

    role = "input"
    supports_once: ClassVar[bool] = False

    def read(self, state: State, stop: Stop) -> Iterator[Row | Lines | Checkpoint]:
        """Yield rows and checkpoints that follow `state`; returning ends the stream. The last item yielded must be a
        Checkpoint. Check `stop` at least once per second."""
        raise NotImplementedError

    def snapshot(self, tables: Sequence[str]) -> None:
        """Override it to take requests of `dstream snapshot`: `read` then yields all rows of these tables between its
        changes. Called from a different thread than `read`; return at once, and log what cannot be done."""

    def acknowledged(self, state: State) -> None:
        """The host has stored the checkpoint with this state: everything before it may be released at the source.
        Called from a different thread than `read`."""


class TransformProvider(Provider[ConfigT]):
    """A provider between an input and an output."""

    role = "transform"

    def transform(self, batch: Batch) -> Iterable[bytes | Mapping[str, Any]]:
        """Return the rows that replace those of the batch: any number, each as a line without newline or as an object.

        Return the lines of `batch.lines` that do not change: `batch.rows` are decoded, so their numbers may lose
        digits. Keep no row for a later batch, because the checkpoint after this one covers it.
        """
        raise NotImplementedError


class OutputProvider(Provider[ConfigT]):
    """An output provider. `limits` is read once, after `start`."""

    role = "output"
    limits: BatchLimits = BatchLimits()
    infrastructure: Infrastructure
    """Where the infrastructure of the task is recorded; set before `start`."""

    def write(self, batch: Batch) -> Future[None] | None:
        """Make the batch durable before returning, or before the returned future completes. Called in order, from one
        thread."""
        raise NotImplementedError

    def dead_letters(self, *, exclusive: bool) -> DeadLetterStore:
        """Override it to offer the rows that `write` rejected to `dstream deadletter`.

        Runs instead of `start`, with the attributes set; `close` follows. `exclusive`: letters will be removed, so keep
        other commands from removing any until the store is closed; raise LockedError if one is doing so.
        """
        raise NotImplementedError
