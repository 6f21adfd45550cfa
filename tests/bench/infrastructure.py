"""`dstream init`, `plan`, `status` and `destroy`, compared with Pulumi's Automation API running the same program.

Both arms are whole processes, since that is what users and pipelines wait for. The baseline of `init` previews and then updates, as
`pulumi up` does; the baselines of `plan` and `status` read the actual queues, as these commands do.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.bench.measure import Arm, Result, Sample, compare, used_by
from tests.running import BIN, Sandbox

Mode = Literal["arm", "entities"]
COMMANDS = {"init": "up", "plan": "preview", "status": "status", "destroy": "destroy"}
"""DStream's commands and their names in the Automation API."""
LIMITS = {"init": 1.3, "plan": 1.1, "status": 1.1}
"""How many times as long as the engine alone a command should take at most."""

_BARE = str(Path(__file__).parent / "providers" / "bare_stack.py")
_PLACES: Mapping[Mode, str] = {
    "arm": 'resource_group = "sandbox"\n      namespace = "sandbox"',
    "entities": """mode = "entities"
      connection_string       = env("ASB_CONNECTION_STRING")
      admin_connection_string = env("ASB_ADMIN_CONNECTION_STRING")""",
}
_HCL = """\
task "orders" {{
  input {{
    provider = "counter"
  }}
  output {{
    provider = "servicebus"
    config {{
      {place}
      queue    = "{{TableName}}"
      entities = {{ for number in range({queues}) : "dstream-${{number}}" => {{}} }}
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Took:
    """What one command took."""

    wall_s: float
    cpu_s: float


class Arms:
    """Both ways to run one command on some queues, each with its own folder and stack."""

    def __init__(self, sandbox: Sandbox, mode: Mode, queues: int, folder: Path) -> None:
        self._env = sandbox.env
        self._mode = mode
        self._queues = queues
        self._bare = folder / "bare"
        self._project = folder / "dstream"
        self._project.mkdir(parents=True)
        (self._project / "dstream.hcl").write_text(_HCL.format(place=_PLACES[mode], queues=queues))
        self.took: dict[str, list[Took]] = defaultdict(list)

    def bare(self, command: str) -> Sample:
        arguments = [str(self._bare), self._mode, str(self._queues), COMMANDS[command]]
        return self._sample(f"bare {command}", [sys.executable, "-P", _BARE, *arguments])

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
        self.took[name].append(Took(used.wall_s, used.cpu_s))
        return Sample(self._queues, used.wall_s, used.cpu_s, used.rss_mib)


def run() -> Result:
    """Create, plan, check and destroy 200 queues through Azure Resource Manager."""
    return of_mode("arm", 200)


def of_mode(mode: Mode, queues: int) -> Result:
    with arms(queues, mode) as both:
        result = compare(
            f"init, plan, status and destroy of {queues:,} queues, mode {mode} (queues per second, all four)",
            [
                Arm("Automation API alone", lambda: both.all_commands("bare")),
                Arm("dstream", lambda: both.all_commands("dstream")),
            ],
            rounds=1,
        )
        result.note = _each_command(both.took)
        return result


@contextlib.contextmanager
def arms(queues: int, mode: Mode = "arm") -> Iterator[Arms]:
    with tempfile.TemporaryDirectory() as folder:
        sandbox = Sandbox(Path(folder, "sandbox")).start()
        try:
            yield Arms(sandbox, mode, queues, Path(folder))
        finally:
            sandbox.stop()


def _each_command(took: Mapping[str, list[Took]]) -> str:
    return "Medians: " + "; ".join(_compared(command, took[command], took[f"bare {command}"]) for command in COMMANDS)


def _compared(command: str, ours: list[Took], bare: list[Took]) -> str:
    wall_s, bare_wall_s = (statistics.median(each.wall_s for each in some) for some in (ours, bare))
    cpu_s, bare_cpu_s = (statistics.median(each.cpu_s for each in some) for some in (ours, bare))
    limit = f", aim {LIMITS[command]}x" if command in LIMITS else ""
    return (
        f"{command} {wall_s:.1f} s ({wall_s / bare_wall_s:.2f}x{limit}), cpu {cpu_s:.1f} s ({cpu_s / bare_cpu_s:.2f}x)"
    )
