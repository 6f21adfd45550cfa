"""How control flow continues after a statement."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dstream_sandbox.sqlserver.session import Event

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession


@dataclass(frozen=True, slots=True)
class Signal:
    """`break`, `continue`, or `return` with its value. None in its place means the next statement."""

    kind: str
    value: int = 0


Flow = Generator[Event, None, "Signal | None"]
Handler = Callable[["SqlSession", Any], Iterator[Event]]
