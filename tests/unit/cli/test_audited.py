"""A change and its audit log: what happens if the log breaks between the two entries."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dstream.cli.audited import AuditedChange
from dstream.config import load
from dstream.errors import LockedError, SystemFault


@pytest.fixture
def change(tmp_path: Path) -> AuditedChange:
    (tmp_path / "dstream.hcl").write_text('dstream {\n  audit {\n    file = "audit.jsonl"\n  }\n}\n')
    return AuditedChange(load(tmp_path / "dstream.hcl", environ=os.environ), "state rm", ["orders"], {})


@pytest.fixture
def break_log(tmp_path: Path) -> Callable[[], None]:
    def broken() -> None:
        (tmp_path / "audit.jsonl").unlink()
        (tmp_path / "audit.jsonl").mkdir()

    return broken


def result(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "audit.jsonl").read_text().splitlines()[-1])
    return found


def carry_out(change: AuditedChange, *steps: Callable[[], object]) -> None:
    with change:
        change.begin()
        for step in steps:
            step()


def failing(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_a_result_that_cannot_be_written_is_an_error_that_says_the_change_was_made(
    change: AuditedChange, break_log: Callable[[], None]
) -> None:
    with pytest.raises(SystemFault, match="`dstream state rm orders` has ended, and the audit log has") as raised:
        carry_out(change, break_log)
    assert raised.value.code == "audit.result_lost"
    assert "Do not repeat the command" in raised.value.hint


def test_the_error_of_a_change_is_kept_if_its_result_cannot_be_written(
    change: AuditedChange, break_log: Callable[[], None]
) -> None:
    with pytest.raises(LockedError) as raised:
        carry_out(change, break_log, failing(LockedError("state.locked", "locked")))
    assert "not the result" in raised.value.details[-1]


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (LockedError("state.locked", "locked"), {"result": "failed", "errors": [{"code": "state.locked"}]}),
        (ZeroDivisionError(), {"result": "failed", "errors": [{"code": "system.crashed"}]}),
        (KeyboardInterrupt(), {"result": "interrupted"}),
    ],
    ids=["error", "crash", "interrupt"],
)
def test_what_the_change_raises_is_its_result(
    change: AuditedChange, tmp_path: Path, error: BaseException, ended: dict[str, object]
) -> None:
    with pytest.raises(type(error)):
        carry_out(change, failing(error))
    assert ended.items() <= result(tmp_path).items()


def test_an_error_after_the_end_of_the_change_does_not_count(change: AuditedChange, tmp_path: Path) -> None:
    with pytest.raises(SystemFault):
        carry_out(change, lambda: change.end(rows=3), failing(SystemFault("output.failed", "stdout is full")))
    assert result(tmp_path)["result"] == "succeeded"
    assert result(tmp_path)["details"] == {"rows": 3}


def test_a_change_that_did_not_begin_is_not_logged(change: AuditedChange, tmp_path: Path) -> None:
    with change:
        pass
    assert not (tmp_path / "audit.jsonl").exists()
