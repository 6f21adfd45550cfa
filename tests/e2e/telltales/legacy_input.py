"""An input of the original protocol that prints its whole config to stderr and stdout."""

import sys

from telling import out, tell_stderr, tellings

line_1 = sys.stdin.read()
tell_stderr(line_1)
for text in tellings(line_1):
    out(f"config: {text}\n")
out('{"status":"ready"}\n')
out('{"data":{"n":1}}\n')
if '"crash"' in line_1:
    raise RuntimeError(line_1)
