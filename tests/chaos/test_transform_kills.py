"""A task with a transform provider: SIGKILL of any of its four processes under load loses nothing.

The suite kills each process at least once; `make soak` kills 50 times. A failure prints its seed.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
from pathlib import Path

import pytest

from tests.chaos.stream import Stream
from tests.chaos.uneven_transform import copies
from tests.running import DStream, wait_until

FOLDER = Path(__file__).parent
PROVIDERS = {"input": "counter", "transform": "uneven_transform", "output": "file_output"}
VICTIMS = ("transform", "input", "output", "host")
SOAK_ROUNDS = int(os.environ.get("SOAK_ROUNDS", "50"))
SEED = int(os.environ.get("SOAK_SEED", "1"))
HCL = f"""
task "orders" {{
  restart {{
    initial_delay = "20ms"
    max_delay     = "1s"
  }}
  input {{
    provider = "counter"
    config {{
      interval = "1ms"
    }}
  }}
  transform {{
    provider_path = "{FOLDER / "uneven_transform.py"}"
  }}
  transform "filter" {{ where = data.value != 7 }}
  output {{
    provider_path = "{FOLDER / "file_output.py"}"
    config {{
      path = "rows.txt"
    }}
  }}
}}
"""


def test_killing_each_process_of_three_providers_loses_nothing(tmp_path: Path) -> None:
    rounds(tmp_path, len(VICTIMS) + 1)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_fifty_kills_of_three_providers_lose_nothing(tmp_path: Path) -> None:
    rounds(tmp_path, SOAK_ROUNDS)


def rounds(folder: Path, count: int) -> None:
    chance = random.Random(SEED)
    (folder / "dstream.hcl").write_text(HCL)
    file = folder / "rows.txt"
    file.touch()
    stream = Stream(DStream(folder), PROVIDERS)
    try:
        for number in range(count):
            grows(stream, file, chance.randrange(1, 5000))
            stream.kill(VICTIMS[number] if number < len(VICTIMS) else chance.choice(VICTIMS))
        wait_until(stream.is_streaming, "the stream to run")
        stream.run.process.send_signal(signal.SIGTERM)
        assert stream.run.ended() == 0, stream.run.stderr
    finally:
        stream.stop()
    state = json.loads(DStream(folder)("state", "show", "orders", "--json").stdout)["checkpoint"]["state"]
    rows = [json.loads(line)["data"] for line in file.read_text().splitlines()]
    got = list(dict.fromkeys((row["value"], row.get("copy", 0)) for row in rows))
    everything = ((value, copy) for value in itertools.count(1) if value != 7 for copy in range(copies(value)))
    assert got == list(itertools.islice(everything, len(got))), f"lost, invented or out of order (seed {SEED})"
    # A killed host may leave rows after its last checkpoint in the file, never the reverse.
    delivered = sum(copies(value) for value in range(1, state["next"]) if value != 7)
    assert len(got) >= delivered, f"the checkpoint is ahead of the rows (seed {SEED})"


def grows(stream: Stream, file: Path, size: int = 1) -> None:
    """Wait until rows of at least this many bytes arrive."""
    before = file.stat().st_size

    def has_grown() -> bool:
        stream.keep_running()
        return file.stat().st_size >= before + size

    wait_until(has_grown, f"more rows:\n{stream.run.stderr[-2000:]}")
