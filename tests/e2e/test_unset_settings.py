"""`status` and `destroy` while an environment variable of the output's config is not set."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.commands import QUEUES, Place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Two existing resources. `capacity` and `fixed` come from the environment; CAPACITY is no longer set."""
    place = Place(tmp_path)
    place.task(resources=QUEUES, capacity="CAPACITY", fixed="FIXED")
    hcl = (tmp_path / "dstream.hcl").read_text()
    hcl = hcl.replace('"CAPACITY"', 'tonumber(env("CAPACITY"))').replace('"FIXED"', '[env("FIXED")]')
    (tmp_path / "dstream.hcl").write_text(hcl)
    monkeypatch.setenv("CAPACITY", "5")
    monkeypatch.setenv("FIXED", "sessions")
    assert place.dstream("init", "t", "--yes").returncode == 0
    monkeypatch.delenv("CAPACITY")
    return place


def test_status_and_destroy_skip_an_unset_setting_they_do_not_need(place: Place) -> None:
    for command in (["status", "t"], ["plan", "t", "--destroy"], ["destroy", "t", "--yes"]):
        done = place.dstream(*command)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("capacity ignored: the environment variable CAPACITY is not set") == 1
    assert place.world["real"] == {}


@pytest.mark.parametrize("command", [["plan", "t"], ["init", "t", "--yes"]])
def test_plan_and_init_need_every_setting(command: list[str], place: Place) -> None:
    done = place.dstream(*command)
    assert done.returncode == 3
    assert "the environment variable CAPACITY is not set" in done.stderr


def test_destroy_refuses_if_a_setting_it_may_need_is_unset(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIXED")
    done = place.dstream("destroy", "t", "--yes")
    assert done.returncode == 3
    assert "the environment variable FIXED is not set" in done.stderr
    assert "CAPACITY" not in done.stderr
    assert place.world["real"] == QUEUES
