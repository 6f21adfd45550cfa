"""`dstream run TASK --dry-run`, or `--output -`, shows rows on stdout, and leaves the task's stream as it was. Real processes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.conformance.commands import COMMAND, Place, wait_until


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    (tmp_path / "dstream.hcl").write_text(
        'task "t" {\n'
        '  input {\n    provider = "counter"\n    config {\n      interval = "1ms"\n      count = 2000\n    }\n  }\n'
        '  output {\n    provider = "console"\n    config {\n      format = env("UNSET")\n    }\n  }\n}\n'
    )
    return place


def values(stdout: str) -> list[int]:
    return [json.loads(line)["data"]["value"] for line in stdout.splitlines()]


def test_rows_go_to_stdout_and_no_state_is_written(place: Place) -> None:
    done = place.dstream("run", "t", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert values(done.stdout) == list(range(1, 2001))
    assert not list(place.folder.glob(".dstream/**/*.json"))
    assert not list(place.folder.glob(".dstream/**/*.lock"))


def test_a_look_starts_at_the_checkpoint_and_does_not_move_it(place: Place) -> None:
    hcl = place.folder / "dstream.hcl"
    hcl.write_text(hcl.read_text().replace('env("UNSET")', '"count"').replace("2000", "5"))
    assert place.dstream("run", "t").returncode == 0
    hcl.write_text(hcl.read_text().replace("count = 5", "count = 8"))
    state = next(place.folder.glob(".dstream/state/*/t.json"))
    before = state.read_bytes()
    looks = [place.dstream("run", "t", "--output", "-") for _ in range(2)]
    assert [values(look.stdout) for look in looks] == [[6, 7, 8]] * 2
    assert state.read_bytes() == before


def test_a_look_is_possible_while_the_stream_runs(place: Place) -> None:
    hcl = place.folder / "dstream.hcl"
    hcl.write_text(hcl.read_text().replace('env("UNSET")', '"count"').replace("      count = 2000\n", ""))
    stream = place.start("run", "t")
    try:
        wait_until(lambda: list(place.folder.glob(".dstream/state/*/t.json")), "a checkpoint")
        look = place.dstream("run", "t", "--dry-run", "--max-rows", "3")
        assert look.returncode == 0, look.stderr
        assert len(values(look.stdout)) == 3
        assert stream.poll() is None
    finally:
        stream.kill()
        stream.communicate()


def test_rows_are_shown_as_transformed(place: Place) -> None:
    hcl = place.folder / "dstream.hcl"
    transforms = '  transform "filter" { where = data.value > 1998 }\n  transform "set" { columns = { by = "us" } }\n'
    hcl.write_text(hcl.read_text().replace("  output {", transforms + "  output {"))
    done = place.dstream("run", "t", "--dry-run")
    assert [json.loads(line)["data"] for line in done.stdout.splitlines()] == [
        {"value": value, "by": "us"} for value in (1999, 2000)
    ]


def test_a_reader_that_leaves_ends_the_run_quietly(place: Place) -> None:
    hcl = place.folder / "dstream.hcl"
    hcl.write_text(hcl.read_text().replace("      count = 2000\n", ""))
    look = place.start("run", "t", "--output", "-")
    assert look.stdout is not None
    assert values(look.stdout.readline()) == [1]
    look.stdout.close()
    assert look.wait(60) == 0
    assert look.stderr is not None
    stderr = look.stderr.read()
    look.stderr.close()
    assert "Error" not in stderr
    assert "Traceback" not in stderr
    assert "Broken" not in stderr


def test_a_full_disk_fails_a_look(place: Place) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, "run", "t", "--output", "-"],
            cwd=place.folder,
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "cannot write to stdout: No space left on device" in done.stderr
    assert "output.failed" in done.stderr


@pytest.mark.parametrize("flags", [("--json",), ("--reset",), ("u",)])
def test_a_look_takes_one_task_and_no_conflicting_flags(flags: tuple[str, ...], place: Place) -> None:
    done = place.dstream("run", "t", "--output", "-", *flags)
    assert done.returncode == 3
    assert "A dry run takes one task" in done.stderr
