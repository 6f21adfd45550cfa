"""A thin client of the Session seam: runs batches and collects their results."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dstream_sandbox.sqlserver.session import (
    Column,
    Columns,
    Done,
    Engine,
    Event,
    Message,
    OutputValue,
    Param,
    Rows,
    Session,
)
from dstream_sandbox.sqlserver.values import SqlType


class Failed(Exception):
    """The first error of a batch."""

    def __init__(self, message: Message) -> None:
        super().__init__(f"{message.number}: {message.text}")
        self.number, self.text = message.number, message.text


@dataclass
class Answer:
    columns: list[tuple[Column, ...]] = field(default_factory=list)
    results: list[list[tuple[Any, ...]]] = field(default_factory=list)
    counts: list[int | None] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    @property
    def errors(self) -> list[int]:
        return [m.number for m in self.messages if m.severity > 10]


def collect(events: Iterable[Event]) -> Answer:
    answer = Answer()
    for event in events:
        match event:
            case Columns():
                answer.columns.append(event.columns)
                answer.results.append([])
            case Rows():
                answer.results[-1].extend(event.rows)
            case Done():
                answer.counts.append(event.count)
            case Message():
                answer.messages.append(event)
            case OutputValue():
                answer.outputs[event.name] = event.value
    return answer


class Client:
    def __init__(self, session: Session) -> None:
        self.session = session

    def answer(self, sql: str, params: Sequence[Param] = (), declarations: str = "") -> Answer:
        """Run a batch; return everything it answers, including errors."""
        return collect(self.session.execute(sql, params, declarations=declarations))

    def run(self, sql: str, *params: tuple[str, SqlType, Any]) -> Answer:
        """Run a batch that must succeed. Parameters: (name, type, value)."""
        from dstream_sandbox.sqlserver.engine.types.names import declaration

        declared = ", ".join(f"{name} {declaration(type_)}" for name, type_, _ in params)
        found = self.answer(sql, [Param(n, t, v) for n, t, v in params], declared)
        for message in found.messages:
            if message.severity > 10:
                raise Failed(message)
        return found

    def rows(self, sql: str, *params: tuple[str, SqlType, Any]) -> list[tuple[Any, ...]]:
        """The rows of the last result set."""
        return self.run(sql, *params).results[-1]

    def value(self, sql: str, *params: tuple[str, SqlType, Any]) -> Any:
        return self.rows(sql, *params)[0][0]

    def error(self, sql: str) -> int:
        """The number of the first error of a batch that must fail."""
        errors = self.answer(sql).errors
        assert errors, f"no error from {sql}"
        return errors[0]

    def type_of(self, expression: str) -> SqlType:
        return self.run(f"SELECT {expression}").columns[-1][0].type

    def close(self) -> None:
        self.session.close()


class Background:
    """Runs something that can block, in its own thread."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.result: Any = None
        self.error: Exception | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._work()
        except Exception as error:  # noqa: BLE001  # raised by finish
            self.error = error

    def is_running(self) -> bool:
        return self._thread.is_alive()

    def finish(self, timeout_s: float = 10) -> Any:
        self._thread.join(timeout_s)
        assert not self._thread.is_alive(), "still blocked"
        if self.error is not None:
            raise self.error
        return self.result


def connect(engine: Engine, database: str, user: str = "sa", password: str = "secret") -> Client:
    return Client(engine.login(user, password, database, app="test", host="test"))
