"""The classes that a provider author derives from. Light: imported before a provider's first line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar, get_args, get_origin

from dstream.sdk._stream import Batch, BatchLimits, Checkpoint, Lines, Row, State, Stop

if TYPE_CHECKING:
    from concurrent.futures import Future

    from dstream.protocol.messages import Infrastructure, RunOptions
    from dstream.sdk._telemetry import Telemetry

ConfigT = TypeVar("ConfigT")


class Provider(Generic[ConfigT]):
    """What inputs and outputs share. The attributes are set before `start`."""

    name: ClassVar[str] = ""
    """For logs and messages; by default the class's name in snake case. Letters, digits, `.`, `-` and `_`."""
    version: ClassVar[str] = ""
    role: ClassVar[Literal["input", "output"]]

    config: ConfigT
    run: RunOptions
    telemetry: Telemetry
    host_keeps_state: bool = True
    """False under the original DStream's host, or by hand: the next run begins without a state."""

    def start(self) -> None:
        """Connect and check whatever could fail early; an error raised here reaches the user before any row moves."""

    def close(self) -> None:
        """Release what `start` opened; called once at the end, also when `start` failed halfway."""

    @classmethod
    def config_type(cls) -> type[Any]:
        """The class given in the brackets of InputProvider[..] or OutputProvider[..].

        A provider that is heavy to import names it in quotes there and overrides this method with the import.
        """
        for base in (base for klass in cls.__mro__ for base in klass.__dict__.get("__orig_bases__", ())):
            origin = get_origin(base)
            if isinstance(origin, type) and issubclass(origin, Provider) and isinstance(get_args(base)[0], type):
                return get_args(base)[0]  # type: ignore[no-any-return]  # a type argument is a type
        raise TypeError(f"{cls.__name__} does not name its config: derive from InputProvider[Config]")

    @classmethod
    def provider_name(cls) -> str:
        words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in cls.__name__)
        return cls.name or words.lstrip("_")


class InputProvider(Provider[ConfigT]):
    """A reader. `run.once`: read up to the end as it is now, then return."""

    role = "input"
    supports_once: ClassVar[bool] = False

    def read(self, state: State, stop: Stop) -> Iterator[Row | Lines | Checkpoint]:
        """Yield rows and checkpoints from behind `state`; returning ends the stream.

        The last thing yielded must be a Checkpoint. Check `stop` at least once a second.
        """
        raise NotImplementedError

    def acknowledged(self, state: State) -> None:
        """The host has the checkpoint with this state on disk: what lies before it may be released at the source.

        Called from another thread than `read`.
        """


class OutputProvider(Provider[ConfigT]):
    """A writer. `limits` is read once, after `start`."""

    role = "output"
    limits: BatchLimits = BatchLimits()
    infrastructure: Infrastructure
    """Where the infrastructure of the task is recorded; set before `start`."""

    def write(self, batch: Batch) -> Future[None] | None:
        """Make the batch durable: on return, or when the future is done. Called in order, from one thread."""
        raise NotImplementedError
