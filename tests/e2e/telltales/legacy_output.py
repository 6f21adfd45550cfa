"""An output of the original protocol that prints its whole config to stderr and stdout."""

import sys

from telling import out, tell_stderr, tellings

line_1 = sys.stdin.readline()
tell_stderr(line_1)
for text in tellings(line_1):
    out(f"config: {text}\n")
out('{"status":"ready"}\n')
for _ in sys.stdin:
    pass
