"""What the live view and the page cost a run that relays as fast as it can, on a terminal.

All arms relay the same rows with `dstream run` under script(1), which provides the terminal. In the last arm, the
figures of the page are requested once per second, twice as often as one page does.
"""

from __future__ import annotations

import socket
import sys
import tempfile
import threading
from pathlib import Path
from urllib.request import urlopen

from tests.bench.measure import Arm, Result, Sample, compare, used_by
from tests.bench.relay import HCL, ROWS

PLAIN, LIVE, PAGE = "log lines only (--plain)", "live view", "live view, page requested every 1 s"
_ROWS = 3 * ROWS
_EVERY_S = 1.0


def run() -> Result:
    arms = [Arm(PLAIN, lambda: _relayed("--plain")), Arm(LIVE, _relayed), Arm(PAGE, _with_page)]
    note = "Where other programs need the cores too, compare the CPU time."
    return compare("live view, rows of 450 bytes", arms, rounds=5, aims={LIVE: 0.95, PAGE: 0.95}, note=note)


def _relayed(*flags: str) -> Sample:
    dstream = Path(sys.executable).parent / "dstream"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "dstream.hcl").write_text(HCL.replace(str(ROWS), str(_ROWS)))
        command = " ".join([str(dstream), "run", "relay", *flags])
        used = used_by(["script", "-qec", command, "/dev/null"], cwd=folder)
    return Sample(_ROWS, used.wall_s, used.cpu_s, used.rss_mib)


def _with_page() -> Sample:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    ended = threading.Event()
    reader = threading.Thread(target=_read, args=(f"http://{address}/figures.json", ended))
    reader.start()
    try:
        return _relayed("--metrics", address)
    finally:
        ended.set()
        reader.join()


def _read(url: str, ended: threading.Event) -> None:
    while not ended.wait(_EVERY_S):
        try:
            with urlopen(url, timeout=10) as answer:
                answer.read()
        except OSError:
            continue  # it does not listen yet, or no longer
