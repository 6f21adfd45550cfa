"""Stores a task's checkpoint, and leases the task so that only one run writes it."""

from dstream.state._document import StoredState, decode_state, file_name
from dstream.state._file import FileStore
from dstream.state._holder import TaskLockHolder
from dstream.state._lock import TaskLock
from dstream.state._open import StateBackend, StateLocation, has_checkpoint, open_store, stored_tasks
from dstream.state._second_lock import SecondLock
from dstream.state._store import Lease, StateStore

__all__ = [
    "FileStore",
    "Lease",
    "SecondLock",
    "StateBackend",
    "StateLocation",
    "StateStore",
    "StoredState",
    "TaskLock",
    "TaskLockHolder",
    "decode_state",
    "file_name",
    "has_checkpoint",
    "open_store",
    "stored_tasks",
]
