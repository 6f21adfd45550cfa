"""The update plan that `plan` keeps is used once, unchanged, and only at once."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from dstream.infra.engine.kept_plan import keep, take


@pytest.fixture
def update_plan(tmp_path: Path) -> Path:
    file = tmp_path / "update-plan.json"
    file.write_text('{"resourcePlans":{}}')
    return file


def test_it_is_taken_once(update_plan: Path, tmp_path: Path) -> None:
    digest = keep(update_plan, tmp_path, is_of_temporary_stack=False)
    assert take(digest, tmp_path, update_plan)
    assert update_plan.read_text() == '{"resourcePlans":{}}'
    assert not take(digest, tmp_path, update_plan)


def test_the_plan_of_another_command_is_not_taken(update_plan: Path, tmp_path: Path) -> None:
    digest = keep(update_plan, tmp_path, is_of_temporary_stack=False)
    update_plan.write_text('{"resourcePlans":{"urn":{}}}')
    keep(update_plan, tmp_path, is_of_temporary_stack=False)
    assert not take(digest, tmp_path, update_plan)


def test_a_plan_is_not_taken_after_a_minute(update_plan: Path, tmp_path: Path) -> None:
    earlier = time.time() - 61
    os.utime(update_plan, (earlier, earlier))
    digest = keep(update_plan, tmp_path, is_of_temporary_stack=False)
    assert not take(digest, tmp_path, update_plan)


def test_secrets_of_a_temporary_stack_are_not_kept(update_plan: Path, tmp_path: Path) -> None:
    assert keep(update_plan, tmp_path, is_of_temporary_stack=True)
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:.."}
    update_plan.write_text(str(secret))
    assert keep(update_plan, tmp_path, is_of_temporary_stack=True) == ""
    assert keep(update_plan, tmp_path, is_of_temporary_stack=False)


def test_a_planted_link_is_not_taken_and_the_engine_cannot_write_through_it(update_plan: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "kept-plan.json").symlink_to(victim)
    assert not take("", tmp_path, update_plan)
    assert update_plan.is_file()
    assert not update_plan.is_symlink()
    assert victim.read_text() == "precious"
