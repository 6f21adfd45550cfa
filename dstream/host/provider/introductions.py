"""Introduces the providers of many blocks: each program starts once, as many at a time as the machine has cores."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

from dstream.errors import ConfigError
from dstream.host.provider.describe import Introduction, examine, introduce
from dstream.host.provider.spec import ProviderSpec
from dstream.protocol.messages import Command, Finding, Role

AT_ONCE = max(2, os.cpu_count() or 1)
"""Maximum number of concurrent introductions; two, so that the providers of one task get ready at the same time."""

_Key = tuple[object, str, Role | None, float]


class Introductions:
    """The introductions of one command. Leaving the `with` block ends those still in progress."""

    def __init__(self, cwd: Path | None, *, describe: bool = True) -> None:
        self._cwd = cwd
        self._describe = describe
        self._asked: dict[_Key, Future[Introduction]] = {}
        self._stop = threading.Event()
        # A child's parent-death signal is tied to the thread that started it: each introduction ends where it began.
        self._pool = ThreadPoolExecutor(AT_ONCE, "introduction")

    def __enter__(self) -> Introductions:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)

    def ask(self, spec: ProviderSpec, role: Role | None, *, timeout_s: float) -> Callable[[], Introduction]:
        """Begin the introduction; return a function that waits for it. See `introduce` for the parameters.

        The function raises ConfigError at the place of `spec`, also if the executable was started for another block.
        """
        key = (spec.program, spec.label, role, timeout_s)
        if key not in self._asked:
            self._asked[key] = self._pool.submit(
                introduce,
                spec,
                role,
                cwd=self._cwd,
                timeout_s=timeout_s,
                describe=self._describe,
                check_stop=self._check_stop,
            )
        return partial(_answer, self._asked[key], spec)

    def examine(
        self, spec: ProviderSpec, role: Role, command: Command, *, timeout_s: float
    ) -> Callable[[], Sequence[Finding]]:
        """Begin to examine the source or destination; return a function that waits for the findings."""
        asked = self._pool.submit(
            examine, spec, role, command, cwd=self._cwd, timeout_s=timeout_s, check_stop=self._check_stop
        )
        return asked.result

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise _Abandoned


class _Abandoned(Exception):
    """The command ended without waiting for the answer."""


def _answer(asked: Future[Introduction], spec: ProviderSpec) -> Introduction:
    try:
        return asked.result()
    except ConfigError as error:
        raise error.at(spec.place) from error
