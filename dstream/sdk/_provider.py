"""The classes that a provider author derives from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, ClassVar, Generic, get_args, get_origin

from dstream.protocol.messages import Role, RunOptions
from dstream.sdk._config import ConfigT
from dstream.sdk._stream import Batch, BatchLimits, Checkpoint, Lines, Row, State, Stop
from dstream.sdk._telemetry import Telemetry


class Provider(Generic[ConfigT]):
    """What inputs and outputs share. The attributes are set before `start`."""

    name: ClassVar[str] = ""
    """For logs and messages; by default the class's name in snake case."""
    version: ClassVar[str] = ""
    role: ClassVar[Role]

    config: ConfigT
    run: RunOptions
    telemetry: Telemetry

    def start(self) -> None:
        """Connect and check whatever could fail early; an error raised here reaches the user before any row moves."""

    def close(self) -> None:
        """Release what `start` opened; called once at the end, also when `start` failed halfway."""

    @classmethod
    def config_type(cls) -> type[Any]:
        """The class given in the brackets of InputProvider[..] or OutputProvider[..]."""
        for base in (base for klass in cls.__mro__ for base in klass.__dict__.get("__orig_bases__", ())):
            origin = get_origin(base)
            if isinstance(origin, type) and issubclass(origin, Provider) and isinstance(get_args(base)[0], type):
                return get_args(base)[0]  # type: ignore[no-any-return]  # a type argument is a type
        raise TypeError(f"{cls.__name__} does not name its config: derive from InputProvider[Config]")

    @classmethod
    def provider_name(cls) -> str:
        return cls.name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()


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
        """The host has the checkpoint with this state on disk: what lies before it may be released at the source."""


class OutputProvider(Provider[ConfigT]):
    """A writer."""

    role = "output"
    limits: BatchLimits = BatchLimits()

    def write(self, batch: Batch) -> Future[None] | None:
        """Make the batch durable: on return, or when the future is done. Called in order, from one thread."""
        raise NotImplementedError
