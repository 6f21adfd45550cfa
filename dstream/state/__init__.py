"""Stores a task's checkpoint, and locks the task so that only one run writes it."""

from dstream.state._file import FileStore, StoredState, decode_state, file_name, stored_tasks
from dstream.state._lock import TaskLock, TaskLockHolder

__all__ = ["FileStore", "StoredState", "TaskLock", "TaskLockHolder", "decode_state", "file_name", "stored_tasks"]
