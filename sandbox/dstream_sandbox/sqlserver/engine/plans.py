"""Compiled statements, cached by syntax node: the same batch text gives the same nodes, so repeated batches skip the
compiler."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from dstream_sandbox.sqlserver.engine.binder.change_plans import ChangePlan
from dstream_sandbox.sqlserver.engine.binder.expression import Ex, Gathered
from dstream_sandbox.sqlserver.values import SqlType

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class QueryPlan:
    sql: str
    columns: tuple[Ex, ...]
    gathered: Gathered
    assigns: tuple[str, ...] = ()
    """Variables that receive the columns of the last row."""


@dataclass(frozen=True, slots=True)
class CachedPlan:
    plan: QueryPlan | ChangePlan
    variables: tuple[tuple[str, SqlType], ...]
    """The types for which the plan was compiled."""


class Cache(Generic[V]):
    """A bounded, thread-safe map that evicts the least recently used entry."""

    def __init__(self, size: int) -> None:
        self._size, self._lock = size, threading.Lock()
        self._entries: OrderedDict[Hashable, V] = OrderedDict()

    def get(self, key: Hashable) -> V | None:
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._entries.move_to_end(key)
            return found

    def put(self, key: Hashable, value: V) -> None:
        with self._lock:
            self._entries[key] = value
            if len(self._entries) > self._size:
                self._entries.popitem(last=False)

    def obtain(self, key: Hashable, build: Callable[[], V]) -> V:
        found = self.get(key)
        if found is None:
            found = build()
            self.put(key, found)
        return found


PlanCache = Cache[CachedPlan]
TextCache = Cache[Any]
