"""Files of one command: private, gone with it, and removed by the next command if it was killed."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from pathlib import Path

from dstream.infra.engine.scratch import private_file, scratch_folder

HOLD = (
    "import sys, pathlib\n"
    "from dstream.infra.engine.scratch import private_file, scratch_folder\n"
    "with scratch_folder(pathlib.Path(sys.argv[1])) as folder:\n"
    "    private_file(folder, 'update-plan.json').write_text('{}')\n"
    "    print(folder, flush=True)\n"
    "    sys.stdin.read()\n"
)


def test_a_file_is_private_and_goes_with_its_command(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        file = private_file(folder, "update-plan.json")
        file.write_text("{}")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(tmp_path.iterdir()) == []


def test_the_next_command_removes_what_a_killed_one_left_but_nothing_in_use(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        left = Path(other.stdout.readline().strip())
        with scratch_folder(tmp_path):
            assert (left / "update-plan.json").exists()
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert left.exists()
    with scratch_folder(tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]
