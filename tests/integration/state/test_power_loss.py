"""Whenever the power is lost, a folder has the last acknowledged checkpoint or a later one, and it can be read.

Real commands are recorded call by call. Every content that the disk may have after each call is built and read.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
import pytest
from dstream_servicebus.publish.dead_letter_file import DeadLetterFile, parse
from dstream_servicebus.publish.rejected import Rejected

from dstream.state import FileStore
from tests.conformance.runs import TASK
from tests.integration.state.test_stores import SINCE, checkpoint, seen
from tests.power_loss.disk import Disk
from tests.power_loss.recording import Recording
from tests.running import BIN

T = TypeVar("T")
REPOSITORY = Path(__file__).parents[3]
HCL = """
dstream {
  audit {
    file = "audit.jsonl"
  }
}
task "orders" {
  input {
    provider = "counter"
  }
  output {
    provider = "console"
  }
}
task "sales" {
  input {
    provider = "counter"
  }
  output {
    provider = "console"
  }
}
"""


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """The folder that is recorded."""
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


@pytest.fixture
def recording(disk: Path, tmp_path: Path) -> Recording:
    return Recording(disk, tmp_path / "record")


class Rebuilt(Generic[T]):
    """Builds what a power loss may leave, and looks at each content once."""

    def __init__(self, folder: Path, look: Callable[[Path], T]) -> None:
        self._folder = folder
        self._look = look
        self.found: dict[frozenset[tuple[str, bytes]], T] = {}

    def after_loss(self, disk: Disk) -> Iterator[T]:
        """Yield what `look` returned for each content that the disk can have if the power is lost now."""
        for files in disk.after_loss():
            key = frozenset(files.items())
            if key not in self.found:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder.mkdir()
                for path, content in files.items():
                    (self._folder / path).parent.mkdir(parents=True, exist_ok=True)
                    (self._folder / path).write_bytes(content)
                self.found[key] = self._look(self._folder)
            yield self.found[key]


def test_a_run_never_goes_back_behind_what_it_acknowledged(recording: Recording, disk: Path, tmp_path: Path) -> None:
    def look(folder: Path) -> int:
        """Return the position, after using the folder as the next run does."""
        store = FileStore(folder / "state", "dev", TASK)
        stored = store.load()
        assert len(store.history()) <= 2
        with store.lease(SINCE) as lease:
            store.save(checkpoint(59), lease)
        assert seen(store) == 59
        assert not list(folder.rglob("*.new"))
        return int(msgspec.json.decode(stored.state)["next"]) if stored else 0

    rebuilt = Rebuilt(tmp_path / "rebuilt", look)
    rows = {"rows": 40, "every": 4, "delay": 0.005}
    sink = {"sink": str(tmp_path / "sink")}
    command = [sys.executable, "-m", "tests.conformance.hosted", disk, json.dumps(rows), json.dumps(sink)]
    for first in (0, 40):
        for state in recording.run(command, REPOSITORY):
            acknowledged = [json.loads(line)["seq"] for line in state.said if b'"ack"' in line]
            assert min(rebuilt.after_loss(state)) >= first + 4 * max(acknowledged, default=0)
        assert acknowledged[-1] == 10
    assert len(rebuilt.found) > 50


@dataclass(frozen=True)
class Found:
    """What the commands read after a power loss; None: no checkpoint."""

    orders: int | None
    sales: int | None
    kept: frozenset[int]
    """The checkpoints of `orders` for a rollback."""
    kept_of_sales: frozenset[int]
    audited: bool
    """Whether the audit log has the command."""


def found_in(folder: Path) -> Found:
    orders, sales = (FileStore(folder / ".dstream" / "state", "dev", name) for name in ("orders", "sales"))
    log = folder / "audit.jsonl"
    lines = log.read_bytes().splitlines() if log.exists() else []
    kept, kept_of_sales = (frozenset(each.seq for each in store.history()) for store in (orders, sales))
    return Found(seen(orders), seen(sales), kept, kept_of_sales, any(is_intent(line) for line in lines))


def is_intent(line: bytes) -> bool:
    try:
        return bool(json.loads(line)["phase"] == "intent")
    except ValueError:  # cut off
        return False


@dataclass(frozen=True)
class Case:
    """A command, what may be found while it runs, and what must be found when it has ended."""

    command: str
    meanwhile: Callable[[Found], bool]
    after: Callable[[Found], bool]


CASES = [
    Case(
        "rollback orders --yes",
        lambda found: found.orders == 3 or (found.orders == 2 and found.kept == {1, 2, 3} and found.audited),
        lambda found: found.orders == 2,
    ),
    Case(
        "import orders 9.json --yes",
        lambda found: found.orders == 3 or (found.orders == 9 and 3 in found.kept and found.audited),
        lambda found: found.orders == 9,
    ),
    Case(
        "rm orders --yes",
        lambda found: found.orders == 3 or (found.orders is None and found.kept == {1, 2, 3} and found.audited),
        lambda found: found.orders is None,
    ),
    Case(
        "mv orders sales --yes",
        lambda found: found.orders == 3 or (found.sales == 3 and found.kept_of_sales >= {1, 2} and found.audited),
        lambda found: found.orders is None and found.sales == 3,
    ),
    Case(
        "migrate --from old --yes",
        lambda found: found.orders == 3 and (found.sales is None or (found.kept_of_sales >= {5} and found.audited)),
        lambda found: found.sales == 6,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.command.split()[0])
def test_a_command_changes_a_checkpoint_as_a_whole_and_never_without_its_audit_entry(
    case: Case, recording: Recording, disk: Path, tmp_path: Path
) -> None:
    (disk / "dstream.hcl").write_text(HCL)
    for seqs in ((1,), (2, 3)):
        store = FileStore(disk / ".dstream" / "state", "dev", "orders")
        with store.lease(SINCE) as lease:
            for seq in seqs:
                store.save(checkpoint(seq, b'{"n":%d}' % seq), lease)
    old = FileStore(disk / "old", "dev", "sales")
    with old.lease(SINCE) as lease:
        old.save(checkpoint(5, task="sales"), lease)
        old.save(checkpoint(6, task="sales"), lease)
    (disk / "9.json").write_bytes(msgspec.json.encode(checkpoint(9)))
    before = found_in(disk)
    assert (before.orders, before.kept) == (3, {1, 2})

    rebuilt = Rebuilt(tmp_path / "rebuilt", found_in)
    for state in recording.run([BIN / "dstream", "state", *case.command.split()], disk):
        for found in set(rebuilt.after_loss(state)):
            assert case.meanwhile(found)
    assert all(case.after(found) for found in rebuilt.after_loss(state))
    assert before in rebuilt.found.values()


DEAD_LETTERS = """
import os, sys
from dstream_servicebus.publish.dead_letter_file import DeadLetterFile
from dstream_servicebus.publish.rejected import Rejected
file = DeadLetterFile(sys.argv[1])
for number in (1, 2, 3):
    file.add(Rejected("oversize", message_id=str(number)))
    os.write(1, b'{"dstream":"ack","seq":%d}\\n' % number)
with file.exclusive():
    file.remove([0])
"""


def test_a_dead_letter_that_counts_as_kept_is_kept(recording: Recording, disk: Path, tmp_path: Path) -> None:
    def look(folder: Path) -> frozenset[str]:
        """Return the ids of the kept rows, after adding one more."""
        file = DeadLetterFile(str(folder / "rejected.jsonl"))
        before = kept(file)
        file.add(Rejected("oversize", message_id="4"))
        assert kept(file) == before | {"4"}
        return before

    def kept(file: DeadLetterFile) -> frozenset[str]:
        return frozenset(row.message_id for row in map(parse, file.lines()) if row)

    rebuilt = Rebuilt(tmp_path / "rebuilt", look)
    for state in recording.run([sys.executable, "-c", DEAD_LETTERS, disk / "rejected.jsonl"], REPOSITORY):
        for found in rebuilt.after_loss(state):
            assert found >= {str(number) for number in range(2, len(state.said) + 1)}
    assert set(rebuilt.after_loss(state)) == {frozenset({"2", "3"})}
    assert len(rebuilt.found) > 6
