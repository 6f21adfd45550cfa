"""The registry of system views, which is filled when it is first used."""

from __future__ import annotations

import subprocess
import sys

SECOND_SESSION_DURING_THE_LOAD = """
import sys, threading
from dstream_sandbox.sqlserver.engine.catalog import system_views

found = []
second = threading.Thread(target=lambda: found.append(system_views.find("sys", "databases")))

class LastModule:
    def find_spec(self, name, *_):
        if name.endswith(".server_views"):
            second.start()
            second.join(0.2)  # it waits for this import, or finds what is there

sys.meta_path.insert(0, LastModule())
found.append(system_views.find("sys", "databases"))
second.join()
print([view.name for view in found if view])
"""


def test_a_session_that_starts_while_another_loads_the_views_finds_them() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", SECOND_SESSION_DURING_THE_LOAD],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "['sys.databases', 'sys.databases']\n"
