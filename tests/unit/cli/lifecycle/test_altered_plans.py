"""What an altered plan file does: every field is altered in turn, and either the command is refused and names the field,
or the command shows and does the same as with the original file.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from dstream.cli.lifecycle.plan_fields import nodes
from dstream.cli.lifecycle.plan_seal import sealed
from dstream.state import FileStore, TaskLock
from tests.conformance.plan_alterations import SEAL, altered, names
from tests.unit.cli.lifecycle.plan_bench import PLANNED, Bench


@pytest.mark.parametrize("command", ["init", "destroy"])
def test_altering_any_field_is_refused_and_the_field_is_named(command: str, bench: Bench) -> None:
    saved = bench.save(*["--destroy"] * (command == "destroy"))
    assert bench.apply(saved, command).error == ""
    count = 0
    for path, document in altered(saved):
        applied = bench.apply(document, command)
        if path.startswith("signature") and not applied.error.startswith("plan"):
            assert applied.done != []  # null: not signed
            continue
        assert applied.error.startswith("plan."), (path, applied)
        assert names(applied.error, path), (path, applied)
        assert applied.done == []
        count += 1
    assert count > 2 * len(list(nodes(saved)))


NOT_APPLIED = ("created", "dstream")
"""Only `plan --show` shows these."""
OPTIONS = ("options.",)
"""An altered option has other changes as its effect, and those are refused; or none."""


@pytest.mark.parametrize("command", ["init", "destroy"])
def test_altering_any_field_and_the_digest_is_refused_or_changes_nothing(command: str, bench: Bench) -> None:
    saved = bench.save(*["--destroy"] * (command == "destroy"))
    right = bench.apply(saved, command)
    assert right.error == ""
    unnoticed = set()
    for path, document in altered({key: value for key, value in saved.items() if key not in SEAL}):
        applied = bench.apply(sealed(document), command)
        if not applied.error:
            assert applied == right or (path == "tasks[0]" and applied.done == []), path
            unnoticed.add(path)
            continue
        assert applied.done == []
        assert path.startswith(OPTIONS) or names(applied.error, path), (path, applied)
    # Without its only task, the plan shows nothing and does nothing. A resource may hold less than planned.
    may_hold_less = range(4) if command == "destroy" else [3]
    expected = {"tasks[0]", *(f"tasks[0].resources[{index}].holds" for index in may_hold_less)}
    assert {each for each in unnoticed if not each.startswith((*NOT_APPLIED, *OPTIONS))} == expected


@pytest.mark.parametrize("hidden", [[], [{"op": "same"}], [{"holds": 0, "confirm": ""}]])
def test_a_plan_that_hides_a_loss_is_refused_also_while_a_run_holds_the_lock(
    hidden: list[dict[str, Any]], bench: Bench
) -> None:
    saved = bench.save("--destroy")
    (task,) = saved["tasks"]
    path = FileStore(bench.folder / ".dstream" / "state", "dev", "orders").lock_path
    with TaskLock(path, "orders", datetime.now(UTC), "run"):
        shown = [{**task["resources"][3], **each} for each in hidden]
        refused = bench.apply(sealed({**saved, "tasks": [{**task, "resources": shown}]}), "destroy", "--parallel", "1")
    assert "[plan.stale]" in refused.error
    assert refused.done == []


def test_the_loss_that_is_guarded_is_the_current_one(bench: Bench) -> None:
    """The plan is intact. Somebody has allowed the loss of 12 messages, but there are 13 now."""
    saved = bench.save()
    assert "plan.data_loss" in bench.apply(saved, "init", "--parallel", "1").error
    for holds, error in ((13, "plan.stale"), (12, ""), (11, ""), (0, "")):
        bench.provider.planned = [*PLANNED[:3], msgspec.structs.replace(PLANNED[3], holds=holds, note=f"{holds}")]
        if holds == 12:
            bench.provider.planned = PLANNED
        applied = bench.apply(saved)
        assert error in applied.error
        assert bool(applied.done) == (not error)
