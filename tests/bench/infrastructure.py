"""`dstream init`, `plan`, `status` and `destroy`, compared with Pulumi's Automation API running the same program.

Both arms are whole processes, since that is what users and pipelines wait for.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.bench.measure import Arm, Result, Sample, compare, used_by
from tests.running import BIN, Sandbox

COMMANDS = {"init": "up", "plan": "preview", "status": "status", "destroy": "destroy"}
"""DStream's commands and their names in the Automation API."""

_BARE = str(Path(__file__).parent / "providers" / "bare_stack.py")
_HCL = """\
task "orders" {{
  input {{
    provider = "counter"
  }}
  output {{
    provider = "servicebus"
    config {{
      resource_group = "sandbox"
      namespace      = "sandbox"
      queue          = "{{TableName}}"
      entities       = {{ for number in range({queues}) : "dstream-${{number}}" => {{}} }}
    }}
  }}
}}
"""


class Arms:
    """Both ways to run one command on some queues, each with its own folder and stack."""

    def __init__(self, sandbox: Sandbox, queues: int, folder: Path) -> None:
        self._env = sandbox.env
        self._queues = queues
        self._bare = folder / "bare"
        self._project = folder / "dstream"
        self._project.mkdir(parents=True)
        (self._project / "dstream.hcl").write_text(_HCL.format(queues=queues))
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def bare(self, command: str) -> Sample:
        script = [sys.executable, "-P", _BARE, str(self._bare), str(self._queues), COMMANDS[command]]
        return self._sample(f"bare {command}", script)

    def dstream(self, command: str) -> Sample:
        yes = ["--yes"] if command in ("init", "destroy") else []
        return self._sample(command, [str(BIN / "dstream"), command, "orders", *yes])

    def all_commands(self, arm: str) -> Sample:
        """Run all four commands."""
        samples = [getattr(self, arm)(command) for command in COMMANDS]
        return Sample(
            self._queues, sum(each.wall_s for each in samples), sum(each.cpu_s for each in samples), samples[0].rss_mib
        )

    def _sample(self, name: str, command: list[str]) -> Sample:
        used = used_by(command, env=self._env, cwd=str(self._project))
        self.seconds[name].append(used.wall_s)
        return Sample(self._queues, used.wall_s, used.cpu_s, used.rss_mib)


def run() -> Result:
    """Create, plan, check and destroy 200 queues."""
    with arms(200) as both:
        result = compare(
            "init, plan, status and destroy of 200 queues (queues per second, all four)",
            [
                Arm("Automation API alone", lambda: both.all_commands("bare")),
                Arm("dstream", lambda: both.all_commands("dstream")),
            ],
            rounds=2,
        )
        result.note = _each_command(both.seconds)
        return result


@contextlib.contextmanager
def arms(queues: int) -> Iterator[Arms]:
    with tempfile.TemporaryDirectory() as folder:
        sandbox = Sandbox(Path(folder, "sandbox")).start()
        try:
            yield Arms(sandbox, queues, Path(folder))
        finally:
            sandbox.stop()


def _each_command(seconds: Mapping[str, list[float]]) -> str:
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    return "Medians: " + ", ".join(
        f"{command} {medians[command]:.1f} s ({medians[f'bare {command}'] / medians[command]:.2f}x)"
        for command in COMMANDS
    )
