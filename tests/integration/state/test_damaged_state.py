"""State that is truncated, of a newer version or of another input: a run refuses it and leaves it as it is."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pyodbc
import pytest
from azure.storage.blob import BlobClient

from dstream.errors import DStreamError
from dstream.odbc import find_driver
from dstream.state import StateLocation, open_store
from dstream.state._blob import container_client
from tests.conformance.runs import TASK, job, run, sink_numbers
from tests.integration.state.test_stores import SINCE, checkpoint, seen

WHOLE = msgspec.json.encode(checkpoint(7))
DAMAGED = {
    b"": "state.corrupt",
    WHOLE[: len(WHOLE) // 2]: "state.corrupt",
    b"\0" * len(WHOLE): "state.corrupt",
    b'{"version":2,"anything":"else"}': "state.newer",
    WHOLE: "state.foreign",
}


class Raw:
    """The stored document, without the product's own store."""

    def __init__(self, location: StateLocation, stack: ExitStack) -> None:
        """`stack` closes the connection."""
        self._where = f"WHERE stack = '{location.stack}'"
        self._mark = "%s" if location.backend == "postgres" else "?"
        self._path = Path(location.folder / location.stack / f"{TASK}.json")
        self._blob: BlobClient | None = None
        self._server: Any = None
        if location.backend == "azblob":
            container = stack.enter_context(container_client(location.url))
            self._blob = container.get_blob_client(f"{location.stack}/{TASK}.json")
        elif location.backend == "postgres":
            self._server = stack.enter_context(closing(psycopg.connect(location.url, autocommit=True)))
        elif location.backend == "mssql":
            url = f"DRIVER={find_driver()};{location.url}"
            self._server = stack.enter_context(closing(pyodbc.connect(url, autocommit=True)))

    def read(self) -> bytes:
        if self._blob is not None:
            return bytes(self._blob.download_blob().readall())
        if self._server is None:
            return self._path.read_bytes()
        return bytes(self._server.execute(f"SELECT document FROM dstream_state {self._where}").fetchone()[0])

    def write(self, document: bytes) -> None:
        if self._blob is not None:
            self._blob.upload_blob(document, overwrite=True)
        elif self._server is None:
            self._path.write_bytes(document)
        else:
            self._server.execute(f"UPDATE dstream_state SET document = {self._mark} {self._where}", (document,))


def test_a_run_refuses_it_and_leaves_it_as_it_is(location: StateLocation, tmp_path: Path) -> None:
    the_job = job(tmp_path, state=location)
    with ExitStack() as stack:
        store = stack.enter_context(closing(open_store(location, TASK)))
        with store.lease(SINCE) as lease:
            store.save(checkpoint(7), lease)
        raw = Raw(location, stack)
        for document, code in DAMAGED.items():
            raw.write(document)
            with pytest.raises(DStreamError) as caught:
                run(the_job)
            assert caught.value.code == code
            assert caught.value.hint
            assert raw.read() == document
            assert not (tmp_path / "sink").exists() or not sink_numbers(tmp_path)
        with store.lease(SINCE) as lease:
            assert store.remove(lease)
        assert run(the_job).drained
        assert seen(store) == 2
        assert [each.seq for each in store.history() if each.input == "mssql_cdc"] == [7]
