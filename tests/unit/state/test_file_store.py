"""The checkpoint document: written atomically, private, and with clear errors if unreadable."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from dstream.errors import ConfigError, SystemFault
from dstream.state import FileStore, StateLocation, StoredState, TaskLock, stored_tasks

RAW = b'{"pos":"0000002a:00000180:0022","big":12345678901234567890}'


LEASE = TaskLock(Path("unused"), "orders", datetime(2026, 11, 25, tzinfo=UTC))


def stored(state: bytes = RAW, seq: int = 7) -> StoredState:
    return StoredState(
        task="orders",
        input="mssql_cdc",
        output="servicebus",
        seq=seq,
        stored_at="2026-11-25T10:00:00.000Z",
        run_id="r1",
        state=msgspec.Raw(state),
    )


def test_a_saved_state_is_loaded_byte_for_byte(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "state", "dev", "orders")
    assert store.load() is None
    store.save(stored(), LEASE)
    loaded = FileStore(tmp_path / "state", "dev", "orders").load()
    assert loaded is not None
    assert bytes(loaded.state) == RAW
    assert msgspec.structs.replace(loaded, state=stored().state) == stored()


def test_the_document_names_its_version_task_and_providers(tmp_path: Path) -> None:
    store = FileStore(tmp_path, "dev", "orders")
    store.save(stored(), LEASE)
    document = json.loads((tmp_path / "dev" / "orders.json").read_text())
    assert {key: document[key] for key in ("version", "task", "input", "output", "seq", "run_id")} == {
        "version": 1,
        "task": "orders",
        "input": "mssql_cdc",
        "output": "servicebus",
        "seq": 7,
        "run_id": "r1",
    }


def test_the_file_is_private_even_after_a_readable_one(tmp_path: Path) -> None:
    store = FileStore(tmp_path, "dev", "orders")
    (tmp_path / "dev").mkdir()
    store.path.write_text("half a docu")
    store.path.chmod(0o644)
    store.save(stored(), LEASE)
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    (kept,) = (tmp_path / "dev" / "orders.history").iterdir()
    assert [each.name for each in sorted(store.path.parent.rglob("*.json"))] == [kept.name, store.path.name]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_partial_temporary_file_is_never_read(tmp_path: Path) -> None:
    store = FileStore(tmp_path, "dev", "orders")
    store.save(stored(seq=1), LEASE)
    (tmp_path / "dev" / ".0f3a.new").write_text('{"version":1,')
    assert stored_tasks(StateLocation("dev", tmp_path)) == {"orders"}
    loaded = store.load()
    assert loaded is not None
    assert loaded.seq == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 0},
        {"version": -1},
        {"version": None},
        {"seq": None},
        {"seq": -1},
        {"seq": True},
        {"state": None},
        {"state": "latest"},
        {"state": []},
    ],
    ids=str,
)
def test_a_document_that_no_dstream_could_have_written_is_corrupt(tmp_path: Path, changes: dict[str, object]) -> None:
    store = FileStore(tmp_path, "dev", "orders")
    store.save(stored(), LEASE)
    document = {**json.loads(store.path.read_bytes()), **changes}
    store.path.write_text(json.dumps({name: value for name, value in document.items() if value is not None}))
    with pytest.raises(ConfigError) as caught:
        store.load()
    assert caught.value.code == "state.corrupt"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "state.corrupt"),
        (b"{", "state.corrupt"),
        (b"[]", "state.corrupt"),
        (b'{"version":1,"task":"orders"}', "state.corrupt"),
        (b'{"version":1,"task":"\xff"}', "state.corrupt"),
        (b'{"version":' + b"[" * 50_000, "state.corrupt"),
        (b'{"version":2,"anything":"else"}', "state.newer"),
    ],
)
def test_an_unreadable_document_is_an_error_not_an_empty_state(tmp_path: Path, content: bytes, code: str) -> None:
    store = FileStore(tmp_path, "dev", "orders")
    store.save(stored(), LEASE)
    store.path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        store.load()
    assert caught.value.code == code
    assert caught.value.hint
    assert store.path.read_bytes() == content


def test_a_failed_write_keeps_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore(tmp_path, "dev", "orders")
    store.save(stored(seq=1), LEASE)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SystemFault) as caught:
        store.save(stored(seq=2), LEASE)
    assert caught.value.code == "state.write_failed"
    loaded = store.load()
    assert loaded is not None
    assert loaded.seq == 1


def test_names_cannot_leave_the_folder_or_collide(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "state", "../up", "a/b")
    store.save(stored(), LEASE)
    assert store.path.parent.parent == tmp_path / "state"
    assert FileStore(tmp_path / "state", "../up", "a").load() is None


def test_remove_deletes_the_state(tmp_path: Path) -> None:
    store = FileStore(tmp_path, "dev", "orders")
    store.save(stored(), LEASE)
    assert store.remove(LEASE)
    assert store.load() is None
    assert not store.remove(LEASE)


def test_the_next_checkpoint_removes_what_a_kill_has_left_of_the_task_but_not_of_others(tmp_path: Path) -> None:
    killed = """
import os, signal, sys
from pathlib import Path
from dstream.private_files import replace_private
os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
replace_private(Path(sys.argv[1]), b"half")
"""
    folder = tmp_path / "dev"
    (folder / "orders.history").mkdir(parents=True)
    for name in ("orders.json", "orders.history/1.json", "cars.json"):
        done = subprocess.run([sys.executable, "-c", killed, folder / name], check=False)
        assert done.returncode == -signal.SIGKILL
    assert len(list(folder.rglob("*.new"))) == 3
    for _ in range(2):
        FileStore(tmp_path, "dev", "orders").save(stored(), LEASE)
        assert len(list(folder.rglob("*.new"))) == 1
    FileStore(tmp_path, "dev", "cars").save(stored(), LEASE)
    assert not list(folder.rglob("*.new"))
