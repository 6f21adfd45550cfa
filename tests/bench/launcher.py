"""Runs a command and writes its resource usage as JSON: `launcher.py FILE COMMAND...`.

This is a separate, small process because a child's peak memory starts at its parent's (getrusage(2), ru_maxrss is kept
across exec), and the benchmark's own process is large.
"""

import json
import os
import subprocess
import sys
import time

started = time.perf_counter()
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
with open(sys.argv[1], "w") as file:
    used = {"cpu_s": usage.ru_utime + usage.ru_stime, "rss_mib": usage.ru_maxrss / 1024}
    json.dump({"wall_s": time.perf_counter() - started, **used}, file)
sys.exit(process.returncode)
