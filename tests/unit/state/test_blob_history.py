"""How the history of a task is kept in a blob container."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import Mock

import msgspec
from azure.core.exceptions import ResourceNotFoundError

from dstream.state import StoredState
from dstream.state._blob import BlobStore

BEFORE = ["dev/orders.history/2026-11-25T08_1.json", "dev/orders.history/2026-11-25T09_1.json"]


def checkpoint(minute: int) -> StoredState:
    stored_at = f"2026-11-25T10:{minute:02}:00.000Z"
    return StoredState(
        task="orders", input="i", output="o", seq=1, stored_at=stored_at, run_id="r", state=msgspec.Raw(b"{}")
    )


def test_it_is_listed_once_and_then_pruned_from_memory() -> None:
    """A list per minute would fill the memory with garbage."""
    container = Mock(url="https://acct.blob.core.windows.net/c")
    container.list_blobs.return_value = [SimpleNamespace(name=name) for name in BEFORE]
    container.delete_blob.side_effect = [None, ResourceNotFoundError(), None]
    store = BlobStore(container, "dev", "orders", history=2, lease_s=30.0)
    lease = Mock()
    for minute in (1, 2, 2, 3):
        store.keep(checkpoint(minute), lease)
    assert container.list_blobs.call_count == 1
    written = list(dict.fromkeys(call.args[0] for call in container.upload_blob.call_args_list))
    assert [call.args[0] for call in container.delete_blob.call_args_list] == [*BEFORE, written[0]]
